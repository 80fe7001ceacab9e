// Blocks: bytes under keys that an engine brings.

import KVFormat
import TestKit
import Testing

@testable import PageCodec

@Suite("A block")
struct BlockTests {
    let root = key("root")

    private func encode(_ bytes: [UInt8], _ element: KVElement, key: PrefixHash, _ codec: CodecChoice) -> [UInt8] {
        let record = EncodedRecord()
        RecordEncoder().encode(block: bytes.raw, element: element, key: key, codec: codec, into: record)
        return unsafe record.bytes.withUnsafeBytes { unsafe [UInt8]($0) }
    }

    private func decode(_ record: [UInt8], _ element: KVElement, key: PrefixHash) throws -> [UInt8] {
        let view = try RecordView(block: record.raw, key: key, element: element)
        var bytes = [UInt8](repeating: 0, count: view.rawByteCount)
        try bytes.withRaw { try RecordDecoder().decode(blob: view, into: &$0) }
        return bytes
    }

    @Test("comes back byte for byte, whatever its element", arguments: KVElement.allCases, CodecChoice.allCases)
    func comesBack(element: KVElement, codec: CodecChoice) throws {
        let own = PrefixHash.block([1, 2, 3], in: root)
        var random = SplitMix64(seed: UInt64(element.rawValue))
        for groups in [0, 1, 700, (2 << 20) / element.groupBytes + 5] {
            let bytes = (0..<groups * element.groupBytes).map { _ in UInt8(truncatingIfNeeded: random.next() & 0x1F) }
            let record = encode(bytes, element, key: own, codec)
            #expect(try decode(record, element, key: own) == bytes)
        }
    }

    @Test("is refused under another key, with another element, as a side state or with half a group")
    func belongsToItsKey() throws {
        let own = PrefixHash.block([1], in: root)
        let record = encode([UInt8](repeating: 7, count: 68), .q8x0, key: own, .raw)
        #expect(throws: RecordDamage.wrongKey) { try decode(record, .q8x0, key: .block([1], in: key("other"))) }
        #expect(throws: RecordDamage.wrongShape) { try decode(record, .bytes, key: own) }
        let state = PrefixHash.sideState(of: root, name: "x")
        let posing = encode([1, 2], .opaque, key: state, .raw)
        #expect(throws: RecordDamage.wrongShape) { _ = try RecordView(sideState: posing.raw, key: root, name: "x") }
        var half = record
        half[64] = 67
        reseal(&half, key: own)
        #expect(throws: RecordDamage.wrongShape) { try decode(half, .q8x0, key: own) }
    }

    @Test("has a hash of its space and its whole key")
    func hash() {
        let keys: [[UInt8]] = [[0], [0, 0], [1], Array(repeating: 9, count: 511)]
        let hashes = keys.flatMap { bytes in [root, key("other")].map { PrefixHash.block(bytes, in: $0) } }
        #expect(Set(hashes).count == 8)
        #expect(
            PrefixHash.block(Array("key".utf8), in: .sha256([])).description
                == "31cd117ecf501e55c6262824de75aea99f7714d927b26dde8c13afb5385a68ab")
    }
}
