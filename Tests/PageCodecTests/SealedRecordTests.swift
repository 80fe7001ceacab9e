// Sealed records: encrypted as docs/format.md says, and refused when anything about them was changed.

import KVFormat
import Testing

@testable import PageCodec

@Suite("A sealed record")
struct SealedRecordTests {
    private static let own = key("sealed")
    private static let seal = SpaceSeal(dataKey: .sha256(Array("data key".utf8)))

    private static func page(_ layout: KVLayout, tokens: Int) -> [UInt8] {
        (0..<layout.pageBytes(tokens: tokens)).map { UInt8(truncatingIfNeeded: $0 &* 13 ^ $0 >> 5) }
    }

    @Test(
        "gives back every byte, whole and cut, in every codec",
        arguments: [CodecChoice.raw, .zstd, .kbit])
    func roundTrip(codec: CodecChoice) throws {
        let layout = try KVLayout(layers: 3, kvHeads: 4, headDimension: 64, element: .bf16, pageSize: 64)
        let page = Self.page(layout, tokens: 64)
        let record = encode(page, layout, tokens: 64, key: Self.own, codec, seal: Self.seal)
        #expect(decode(record, layout, key: Self.own, seal: Self.seal) == .success(page))
        let part = cut(page, layout, stored: 64, tokens: 17)
        #expect(decode(record, layout, wanted: 17, key: Self.own, seal: Self.seal) == .success(part))
    }

    @Test("has several frames, none of which takes another's place")
    func frames() throws {
        let layout = try KVLayout(layers: 40, kvHeads: 4, headDimension: 64, element: .bf16, pageSize: 64)
        let page = Self.page(layout, tokens: 64)
        var record = encode(page, layout, tokens: 64, key: Self.own, .raw, seal: Self.seal)
        let header = RecordHeader(record.raw)
        #expect(header.frameCount > 2)
        #expect(decode(record, layout, key: Self.own, seal: Self.seal) == .success(page))
        let size = FrameEntry(record.raw, index: 0).encodedBytes
        let start = FrameEntry.offset(header.frameCount)
        #expect(FrameEntry(record.raw, index: 1).encodedBytes == size)
        for offset in 0..<size { record.swapAt(start + offset, start + size + offset) }
        #expect(decode(record, layout, key: Self.own, seal: Self.seal) == .failure(.badChecksum(frame: 0)))
    }

    @Test("is refused for every single bit that is changed")
    func everyBit() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 16, element: .bf16, pageSize: 4)
        let page = Self.page(layout, tokens: 3)
        let record = encode(page, layout, tokens: 3, key: Self.own, .zstd, seal: Self.seal)
        for byte in record.indices {
            for bit in 0..<8 {
                var other = record
                other[byte] ^= 1 << UInt8(bit)
                guard case .failure = decode(other, layout, key: Self.own, seal: Self.seal) else {
                    Issue.record("byte \(byte), bit \(bit)")
                    return
                }
            }
        }
        for count in record.indices {
            guard case .failure = decode(Array(record[..<count]), layout, key: Self.own, seal: Self.seal) else {
                Issue.record("\(count) bytes of \(record.count)")
                return
            }
        }
    }

    @Test("is refused without its key, under another one, and under another name; a plain one is refused with a key")
    func keys() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 16, element: .bf16, pageSize: 4)
        let page = Self.page(layout, tokens: 4)
        let record = encode(page, layout, tokens: 4, key: Self.own, .raw, seal: Self.seal)
        #expect(decode(record, layout, key: Self.own) == .failure(.sealed))
        let other = SpaceSeal(dataKey: .sha256(Array("another".utf8)))
        #expect(decode(record, layout, key: Self.own, seal: other) == .failure(.badHeader))
        #expect(decode(record, layout, key: key("other"), seal: Self.seal) == .failure(.wrongKey))
        var renamed = record
        for (index, byte) in key("other").bytes.enumerated() { renamed[24 + index] = byte }
        #expect(decode(renamed, layout, key: key("other"), seal: Self.seal) == .failure(.badHeader))
        let plain = encode(page, layout, tokens: 4, key: Self.own, .raw)
        #expect(decode(plain, layout, key: Self.own, seal: Self.seal) == .failure(.badHeader))
        var posing = plain
        posing[61] |= RecordHeader.sealedFlag
        #expect(decode(posing, layout, key: Self.own, seal: Self.seal) == .failure(.badHeader))
    }

    @Test("holds no run of its page's bytes, and has another salt and other bytes each time")
    func fresh() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 16, element: .bf16, pageSize: 4)
        let page = [UInt8](repeating: 0x5A, count: layout.pageBytes(tokens: 4))
        let records = (0..<2).map { _ in encode(page, layout, tokens: 4, key: Self.own, .raw, seal: Self.seal) }
        #expect(records[0].count == records[1].count)
        let frames = records.map { Array($0[128...]) }
        #expect(zip(frames[0], frames[1]).filter { $0 != $1 }.count > 200)
        #expect(Array(records[0][80..<96]) != Array(records[1][80..<96]))
        #expect(!frames[0].indices.dropLast(7).contains { frames[0][$0..<$0 + 8].allSatisfy { $0 == 0x5A } })
        // The same salt, given by a test, makes the same record: nothing else in it is left to chance.
        let salted = (0..<2).map { _ in
            encode(
                page, layout, tokens: 4, key: Self.own, .raw, seal: Self.seal,
                with: RecordEncoder(salt: { SealBytes(low: 1, high: 2) }))
        }
        #expect(salted[0] == salted[1])
    }
}
