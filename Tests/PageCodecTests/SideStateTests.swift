// Side states: named blobs of any size.

import KVFormat
import Testing
import TestKit

@testable import PageCodec

@Suite("A side state")
struct SideStateTests {
    let prefix = key("prefix")

    private func encode(_ bytes: [UInt8], name: String, _ codec: CodecChoice = .zstd) -> [UInt8] {
        let record = EncodedRecord()
        RecordEncoder().encode(sideState: bytes.raw, key: prefix, name: name, codec: codec, into: record)
        return unsafe record.bytes.withUnsafeBytes { unsafe [UInt8]($0) }
    }

    private func decode(_ record: [UInt8], name: String, key: PrefixHash) throws -> [UInt8] {
        let view = try RecordView(sideState: record.raw, key: key, name: name)
        var bytes = [UInt8](repeating: 0, count: view.rawByteCount)
        try bytes.withRaw { try RecordDecoder().decode(blob: view, into: &$0) }
        return bytes
    }

    @Test(
        "comes back byte for byte at every size around a frame's edge", arguments: CodecChoice.allCases,
        [0, 1, 63, 4096, 1 << 20, (1 << 20) + 1, (3 << 20) - 1])
    func comesBack(codec: CodecChoice, size: Int) throws {
        var random = SplitMix64(seed: UInt64(size))
        let bytes = (0..<size).map { _ in UInt8(truncatingIfNeeded: random.next() & 0x1F) }
        let record = encode(bytes, name: "ssm", codec)
        #expect(try decode(record, name: "ssm", key: prefix) == bytes)
        if codec == .zstd && size >= 4096 { #expect(record.count < size * 3 / 4) }
    }

    @Test("is refused under another name, another prefix, or as a page")
    func belongsToItsName() throws {
        let record = encode([1, 2, 3], name: "ssm")
        #expect(throws: RecordDamage.wrongKey) { try decode(record, name: "ssn", key: prefix) }
        #expect(throws: RecordDamage.wrongKey) { try decode(record, name: "ssm", key: key("other")) }
        let layout = try KVLayout.opaque(bytesPerPage: 3, pageSize: 1)
        #expect(throws: RecordDamage.wrongShape) {
            _ = try RecordView(record.raw, key: .sideState(of: prefix, name: "ssm"), layout: layout)
        }
        let page = PageCodecTests.encode([1, 2, 3], layout, tokens: 1, key: .sideState(of: prefix, name: "ssm"), .raw)
        #expect(throws: RecordDamage.wrongShape) {
            _ = try RecordView(sideState: page.raw, key: prefix, name: "ssm")
        }
    }

    @Test("is refused for every single bit that is flipped, and at every length")
    func damage() throws {
        let record = encode((0..<300).map { UInt8($0 % 7) }, name: "logits")
        #expect(record.count < 420)
        for bit in 0..<8 * record.count {
            var bytes = record
            bytes[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: RecordDamage.self) { try decode(bytes, name: "logits", key: prefix) }
        }
        for length in 0..<record.count {
            #expect(throws: RecordDamage.truncated) {
                try decode(Array(record.prefix(length)), name: "logits", key: prefix)
            }
        }
    }

    @Test("with an impossible frame table is refused")
    func impossibleTable() throws {
        let own = PrefixHash.sideState(of: prefix, name: "x")
        func forged(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var bytes = encode([5, 6, 7, 8], name: "x")
            change(&bytes)
            reseal(&bytes, key: own)
            return bytes
        }
        #expect(throws: RecordDamage.badFrame(0)) { try decode(forged { $0[96 + 4] = 1 }, name: "x", key: prefix) }
        #expect(throws: RecordDamage.badFrame(0)) { try decode(forged { $0[96 + 8] = 5 }, name: "x", key: prefix) }
        #expect(throws: RecordDamage.wrongShape) { try decode(forged { $0[6] = 0 }, name: "x", key: prefix) }
        #expect(throws: RecordDamage.wrongShape) { try decode(forged { $0[71] = 0xFF }, name: "x", key: prefix) }
        #expect(throws: RecordDamage.truncated) {
            try decode(
                forged {
                    $0[96 + 12] = 4; $0.removeLast()
                }, name: "x", key: prefix)
        }
    }
}
