// The alphabet in which byte-level tokenizer files spell bytes.
//
// Printable bytes of Latin-1 stand for themselves; the other 68 are moved to U+0100 and following, in order. So every
// token is printable text, and no two spellings are canonically equivalent.

/// Bytes to characters of a tokenizer file and back.
enum ByteAlphabet {
    /// The scalar that spells each byte.
    static let scalars: [UInt32] = {
        var moved: UInt32 = 0x100
        return (0..<UInt32(256)).map { byte in
            if isPrintable(byte) { return byte }
            defer { moved += 1 }
            return moved
        }
    }()

    /// The byte that each scalar below `U+0144` spells, or -1.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar)] = Int16(byte) }
        return table
    }()

    /// The bytes that `token` spells; `nil` when it has a character outside the alphabet.
    static func bytes(of token: String) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(token.utf8.count)
        for scalar in token.unicodeScalars {
            guard scalar.value < UInt32(bytes.count), bytes[Int(scalar.value)] >= 0 else { return nil }
            result.append(UInt8(bytes[Int(scalar.value)]))
        }
        return result
    }

    private static func isPrintable(_ byte: UInt32) -> Bool {
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
    }
}
