// Records as bytes: what docs/format.md describes, and what no later build may change.

import KVFormat
import Testing

@testable import PageCodec

@Suite("The record format")
struct GoldenTests {
    /// `SHA-256("golden")`, the key of both records.
    static let key = PageCodecTests.key("golden")

    /// A tail of one token: keys 1.0 and -0.0, values a NaN and the smallest denormal. One raw frame.
    static let raw = """
        50465852 0200 0100 a7cbe087ac4364bd 0000000000000000
        dd56de4137951d9c92681b03416ec15f886b4482a27e3a517d32f085244cbe5d
        01000000 00 01 00 00 0800000000000000 0800000000000000 0000000000000000 0000000000000000
        00 01 0200 00000000 08000000 08000000 5dade39105560215 0000000000000000
        803f0080 c07f0100
        """

    /// A whole page of 4 tokens of 64 + 64 numbers, `page` below. One zstd frame of one chunk; its low plane is cut out
    /// here.
    static let coded = """
        50465852 0200 0100 3a8a6d976c72bb56 0000000000000000
        dd56de4137951d9c92681b03416ec15f886b4482a27e3a517d32f085244cbe5d
        04000000 00 00 00 00 0004000000000000 8302000000000000 0000000000000000 0000000000000000
        01 01 0200 00000000 00040000 83020000 d81b608b2c246290 0000000000000000
        7f000000
        """
    static let codedTop = """
        28b52ffd600001ad030082c6
        0907f03929c93f4001edc89691c89691
        c89691c89691c89691c89691c89691c8
        9691c8c8b6efc8763820e0d7440ccc8c
        b421e566246cb42c080e564446c246cb
        82e0608ac848d86859101cac888c848d
        9605c1c18ac848d86859103458111909
        1b2d0b8283159191b0d1b22038182d82
        b3c404
        """

    /// The same page with the kbit codec; low plane, values and codes are computed by the test.
    static let kbit = """
        50465852 0200 0100 fbd1e8fa8428296b 0000000000000000
        dd56de4137951d9c92681b03416ec15f886b4482a27e3a517d32f085244cbe5d
        04000000 00 00 00 00 0004000000000000 cb02000000000000 0000000000000000 0000000000000000
        02 01 0200 00000000 00040000 cb020000 167f06800dfe3abc 0000000000000000
        03000000
        """
    /// The values of the codes: ordered by frequency, then by value, filled up with 0.
    static let kbitValues: [UInt8] = [126, 125, 124, 127, 123, 0, 0]

    /// Element `i` has the sign `i % 2`, one of five exponents, and the mantissa `11 i % 128`.
    static let page: [UInt8] = (0..<512).flatMap { index -> [UInt8] in
        let exponent = UInt16([126, 125, 126, 124, 127, 126, 125, 123][index * 7 % 61 % 8])
        let bits = UInt16(index % 2) << 15 | exponent << 7 | UInt16(index * 11 % 128)
        return [UInt8(truncatingIfNeeded: bits), UInt8(bits >> 8)]
    }

    private func bytes(_ hex: String) -> [UInt8] {
        let digits = hex.filter { $0.isHexDigit }.compactMap { $0.hexDigitValue }
        return stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) }
    }

    @Test("writes and reads the golden raw record")
    func rawRecord() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 2, element: .bf16, pageSize: 2)
        let page: [UInt8] = [0x80, 0x3F, 0x00, 0x80, 0xC0, 0x7F, 0x01, 0x00]
        #expect(encode(page, layout, tokens: 1, key: Self.key, .raw) == bytes(Self.raw))
        #expect(encode(page, layout, tokens: 1, key: Self.key, .zstd) == bytes(Self.raw))
        #expect(decode(bytes(Self.raw), layout, key: Self.key) == .success(page))
    }

    @Test("reads the golden zstd record, whichever version of libzstd is there")
    func zstdRecord() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 64, element: .bf16, pageSize: 4)
        // The low plane: mantissa above sign, since the element was rotated left by one bit.
        let low = (0..<512).map { UInt8(truncatingIfNeeded: ($0 * 11 % 128) << 1 | $0 % 2) }
        let record = bytes(Self.coded) + low + bytes(Self.codedTop)
        #expect(record.count == 96 + 32 + 0x283)
        #expect(decode(record, layout, key: Self.key) == .success(Self.page))
    }

    @Test("writes and reads the golden kbit record")
    func kbitRecord() throws {
        let layout = try KVLayout(layers: 1, kvHeads: 1, headDimension: 64, element: .bf16, pageSize: 4)
        let elements = stride(from: 0, to: 1024, by: 2).map { UInt16(Self.page[$0]) | UInt16(Self.page[$0 + 1]) << 8 }
        let rotated = elements.map { $0 << 1 | $0 >> 15 }
        // Codes of 3 bits for 5 values; nothing escapes. Group by group, bit by bit, as the document says.
        var codes: [UInt8] = []
        for group in stride(from: 0, to: 512, by: 64) {
            for bit in 0..<3 {
                for byte in 0..<8 {
                    let eight = (0..<8).map { lane -> UInt8 in
                        let top = UInt8(rotated[group + 8 * byte + lane] >> 8)
                        let code = Self.kbitValues.firstIndex(of: top) ?? 7
                        return UInt8(code >> bit & 1) << UInt8(lane)
                    }
                    codes.append(eight.reduce(0, |))
                }
            }
        }
        let low = rotated.map { UInt8(truncatingIfNeeded: $0) }
        let record = bytes(Self.kbit) + low + Self.kbitValues + codes
        #expect(encode(Self.page, layout, tokens: 4, key: Self.key, .kbit) == record)
        #expect(decode(record, layout, key: Self.key) == .success(Self.page))
    }

    @Test("has the codec numbers and sizes that are written in the document")
    func numbers() {
        #expect(FrameCodec.allCases.map(\.rawValue) == [0, 1, 2, 3])
        #expect(RecordHeader.byteCount == 96 && FrameEntry.byteCount == 32 && RecordHeader.version == 2)
        #expect(RecordHeader.magic.littleEndian == bytes("50465852").raw.little(0, as: UInt32.self))
    }
}
