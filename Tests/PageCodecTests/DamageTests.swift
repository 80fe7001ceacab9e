// What is not as it was written is a miss, never wrong bytes and never a write outside the target.

import KVFormat
import Testing
import TestKit

@testable import PageCodec

@Suite("A damaged record")
struct DamageTests {
    /// The key of a small record: 2 layers, 4 KiB, one coded frame.
    static let key = PageCodecTests.key("damage")
    let layout: KVLayout
    let page: [UInt8]
    let record: [UInt8]
    /// The same page with the kbit codec.
    let fast: [UInt8]

    init() throws {
        layout = try KVLayout(layers: 2, kvHeads: 2, headDimension: 32, element: .bf16, pageSize: 8)
        page = pageBytes(layout, tokens: 8, key: Self.key, .gaussian)
        record = encode(page, layout, tokens: 8, key: Self.key, .zstd)
        fast = encode(page, layout, tokens: 8, key: Self.key, .kbit)
        #expect(FrameEntry(record.raw, index: 0).codec == FrameCodec.zstd.rawValue)
        #expect(FrameEntry(fast.raw, index: 0).codec == FrameCodec.kbit.rawValue)
    }

    @Test("is refused for every single bit that is flipped")
    func everyBit() {
        let decoder = RecordDecoder()
        for sound in [record, fast] {
            var bytes = sound
            for bit in 0..<8 * sound.count {
                bytes[bit / 8] ^= 1 << (bit % 8)
                let found = decode(bytes, layout, key: Self.key, with: decoder)
                if case .failure = found {} else { Issue.record("bit \(bit) gave \(String(describing: found))") }
                bytes[bit / 8] ^= 1 << (bit % 8)
            }
            #expect(decode(bytes, layout, key: Self.key) == .success(page))
        }
    }

    @Test("is refused at every length below its own")
    func everyLength() {
        let decoder = RecordDecoder()
        for sound in [record, fast] {
            for length in 0..<sound.count {
                #expect(
                    decode(Array(sound.prefix(length)), layout, key: Self.key, with: decoder) == .failure(.truncated))
            }
        }
    }

    @Test("is sound when padding follows it, whatever the padding holds")
    func padding() throws {
        for filler: UInt8 in [0, 0xFF] {
            let padded = record + [UInt8](repeating: filler, count: 4096)
            #expect(decode(padded, layout, key: Self.key) == .success(page))
            let view = try RecordView(padded.raw, key: Self.key, layout: layout)
            #expect(view.byteCount == record.count)
            try view.verify()
        }
    }

    @Test("never gives wrong bytes after 100,000 random mutations")
    func randomMutations() {
        var random = SplitMix64(seed: TestSeed.fresh("record mutations"))
        let decoder = RecordDecoder()
        for _ in 0..<100_000 {
            let bytes = mutated(&random)
            switch decode(bytes, layout, key: Self.key, with: decoder) {
            case .failure: continue
            case .success(let found): #expect(found == page)
            case nil: Issue.record("a decoder wrote outside its target")
            }
        }
    }

    @Test("stays inside its target even when 100,000 forgers repair every checksum")
    func forgedMutations() {
        var random = SplitMix64(seed: TestSeed.fresh("forged mutations"))
        let decoders = KernelTests.levels.map { RecordDecoder($0) }
        var refused = 0
        for _ in 0..<100_000 {
            var bytes = mutated(&random)
            guard bytes.count >= RecordHeader.byteCount else { continue }
            reseal(&bytes, key: Self.key)
            guard let decoder = decoders.randomElement(using: &random) else { continue }
            switch decode(bytes, layout, key: Self.key, with: decoder) {
            case .failure: refused += 1
            case .success(let found): #expect(found.count <= page.count)
            case nil: Issue.record("a decoder wrote outside its target")
            }
        }
        #expect(refused > 0)
    }

    /// The record with one to four changes: a bit, a byte, a run of bytes, a cut.
    private func mutated(_ random: inout SplitMix64) -> [UInt8] {
        var bytes = Bool.random(using: &random) ? record : fast
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            // Half of the changes hit the header and the table, which are a small part of the record.
            let head = min(bytes.count, FrameEntry.offset(1) + 8)
            let at = Int.random(in: 0..<(Bool.random(using: &random) ? head : bytes.count), using: &random)
            switch Int.random(in: 0..<5, using: &random) {
            case 0: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            case 1: bytes[at] = [0, 1, 0x7F, 0x80, 0xFF][Int.random(in: 0..<5, using: &random)]
            case 2: bytes[at] = UInt8.random(in: 0...255, using: &random)
            case 3:
                for index in at..<min(at + 16, bytes.count) { bytes[index] = UInt8.random(in: 0...255, using: &random) }
            default: if Int.random(in: 0..<8, using: &random) == 0 { bytes.removeSubrange(at...) }
            }
        }
        return bytes
    }

    @Test("is named by what is wrong with it")
    func reasons() {
        func damage(_ key: PrefixHash = DamageTests.key, _ change: (inout [UInt8]) -> Void) -> RecordDamage? {
            var bytes = record
            change(&bytes)
            if case .failure(let damage) = decode(bytes, layout, key: key) { return damage }
            return nil
        }
        func forged(_ change: (inout [UInt8]) -> Void) -> RecordDamage? {
            damage { bytes in
                change(&bytes)
                reseal(&bytes, key: Self.key)
            }
        }
        let entry = RecordHeader.byteCount
        #expect(damage { $0[0] = 0 } == .notARecord)
        #expect(damage { $0[4] = 1 } == .unknownVersion(1))
        #expect(damage { $0[24] ^= 1 } == .wrongKey)
        #expect(damage(.sha256([1])) { _ in } == .wrongKey)
        #expect(damage { $0[8] ^= 1 } == .badHeader)
        #expect(damage { $0[64] ^= 1 } == .badHeader)
        #expect(damage { $0[61] |= RecordHeader.sealedFlag } == .sealed)
        for sealedOnly in [16, 63, 80, 95] { #expect(forged { $0[sealedOnly] = 1 } == .badHeader) }
        #expect(damage { $0[entry + 12] ^= 1 } == .badHeader)
        #expect(damage { $0[7] = 0xFF } == .badHeader)
        #expect(damage { $0[$0.count - 1] ^= 1 } == .badChecksum(frame: 0))
        #expect(forged { $0[56] = 9 } == .wrongShape)
        #expect(forged { $0[60] = 1 } == .wrongShape)
        #expect(forged { $0[61] = 4 } == .wrongShape)
        #expect(forged { $0[62] = KVElement.fp16.rawValue } == .wrongShape)
        #expect(forged { $0[72] ^= 1 } == .wrongShape)
        #expect(forged { $0[entry] = FrameCodec.kbit.rawValue } == .undecodable(frame: 0))
        #expect(forged { $0[entry] = FrameCodec.raw.rawValue } == .badFrame(0))
        #expect(forged { $0[entry] = 99 } == .unknownCodec(frame: 0, codec: 99))
        #expect(forged { $0[entry] = FrameCodec.zstdPlain.rawValue } == .undecodable(frame: 0))
        #expect(forged { $0[entry + 1] = 4 } == .badFrame(0))
        #expect(forged { $0[entry + 2] = 5 } == .badFrame(0))
        #expect(forged { $0[entry + 31] = 1 } == .badFrame(0))
        #expect(forged { $0[entry + 4] = 1 } == .badFrame(0))
        #expect(forged { $0[entry + 8] ^= 1 } == .badFrame(0))
        #expect(forged { $0[entry + 11] = 0xFF } == .badFrame(0))
        #expect(forged { $0[entry + 32] = 0xFF } == .undecodable(frame: 0))
    }

    @Test("says in words what is wrong, with no stored byte")
    func words() {
        let all: [RecordDamage] = [
            .truncated, .notARecord, .unknownVersion(7), .sealed, .wrongKey, .badHeader, .wrongShape, .badFrame(3),
            .unknownCodec(frame: 1, codec: 9), .badChecksum(frame: 2), .undecodable(frame: 4),
        ]
        #expect(Set(all.map(\.description)).count == all.count)
        #expect(RecordDamage.badChecksum(frame: 2).description.contains("2"))
    }

    @Test("of another layout, page size or token count is refused")
    func otherLayouts() throws {
        let others = [
            try KVLayout(layers: 4, kvHeads: 1, headDimension: 32, element: .fp16, pageSize: 8),
            try KVLayout(layers: 2, kvHeads: 2, headDimension: 32, element: .bf16, pageSize: 16),
            try KVLayout(layers: 2, kvHeads: 2, headDimension: 64, element: .bf16, pageSize: 8),
            try KVLayout(layers: 1, kvHeads: 2, headDimension: 32, element: .bf16, pageSize: 8),
        ]
        for (other, damage) in zip(others, [.badFrame(0), .wrongShape, .wrongShape, .wrongShape] as [RecordDamage]) {
            #expect(decode(record, other, key: Self.key) == .failure(damage))
        }
        let sameWidths = try KVLayout(layers: 2, kvHeads: 2, headDimension: 32, element: .fp16, pageSize: 8)
        #expect(decode(record, sameWidths, key: Self.key) == .failure(.badFrame(0)))
        #expect(throws: RecordDamage.wrongShape) {
            _ = try RecordView(record.raw, key: Self.key, layout: layout, tokens: 7)
        }
    }
}
