// The chained hash that names a page together with everything before it.

internal import CHash

/// A SHA-256 digest of 32 bytes: a prefix hash, a space root or a weights digest. It is ordered and compared by its
/// bytes.
public struct PrefixHash: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Bytes of a digest.
    public static let byteCount = 32

    // Four big-endian words: equality and order in four comparisons, no heap.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// The digest whose bytes are `bytes`; nil unless there are exactly 32.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        var folded: [UInt64] = [0, 0, 0, 0]
        for (index, byte) in bytes.enumerated() { folded[index / 8] = folded[index / 8] << 8 | UInt64(byte) }
        words = (folded[0], folded[1], folded[2], folded[3])
    }

    /// Reads 32 bytes of `span` from `offset`.
    package init(_ span: RawSpan, at offset: Int = 0) {
        words = unsafe (
            UInt64(bigEndian: span.unsafeLoadUnaligned(fromByteOffset: offset, as: UInt64.self)),
            UInt64(bigEndian: span.unsafeLoadUnaligned(fromByteOffset: offset + 8, as: UInt64.self)),
            UInt64(bigEndian: span.unsafeLoadUnaligned(fromByteOffset: offset + 16, as: UInt64.self)),
            UInt64(bigEndian: span.unsafeLoadUnaligned(fromByteOffset: offset + 24, as: UInt64.self))
        )
    }

    /// The digest written as 64 hexadecimal digits; nil for anything else.
    public init?(hex: String) {
        let digits = Array(hex.utf8)
        guard digits.count == 2 * Self.byteCount else { return nil }
        var bytes: [UInt8] = []
        for index in stride(from: 0, to: digits.count, by: 2) {
            guard let high = Self.nibble(digits[index]), let low = Self.nibble(digits[index + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        self.init(bytes: bytes)
    }

    private static func nibble(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    /// The 32 bytes.
    public var bytes: [UInt8] {
        withBytes { span in unsafe span.withUnsafeBytes { unsafe [UInt8]($0) } }
    }

    /// The 32 bytes in their order, as four words of memory: a key without an allocation.
    package var inlineBytes: InlineArray<4, UInt64> {
        [words.0.bigEndian, words.1.bigEndian, words.2.bigEndian, words.3.bigEndian]
    }

    /// Lends the 32 bytes for the length of the call; nothing is allocated.
    func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let ordered = inlineBytes
        return try unsafe body(ordered.span.bytes)
    }

    /// The first 8 bytes as a number: enough to spread digests over a table or to seed a checksum.
    package var prefixWord: UInt64 { words.0 }

    /// 64 hexadecimal digits.
    public var description: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// The first 12 digits, as lists show them.
    public var short: String { String(description.prefix(12)) }

    /// Whether all 32 bytes are equal.
    public static func == (left: PrefixHash, right: PrefixHash) -> Bool { left.words == right.words }

    /// The order of the bytes, as LMDB sorts its keys.
    public static func < (left: PrefixHash, right: PrefixHash) -> Bool { left.words < right.words }

    /// Hashes the first 8 bytes, which are as good as random.
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}
