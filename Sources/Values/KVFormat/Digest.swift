// A SHA-256 digest.

internal import CHash

/// A SHA-256 digest of contents: of a model's weights, a tokenizer, an adapter. 32 bytes; order and equality are those
/// of the bytes. A value type.
///
/// It is not a `PrefixHash`, which names a page by all that comes before it.
///
/// ```swift
/// let tokenizer = Digest.sha256([UInt8](try Data(contentsOf: file)))
/// // As a tool printed it.
/// let weights = Digest(hex: "4813494d137e1631bba301d5acab6e7bb7aa74ce1185d456565ef51d737677b2")
/// ```
public struct Digest: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Bytes of a digest.
    public static let byteCount = 32

    // Four big-endian words: equality and order in four comparisons, no heap.
    private let words: (UInt64, UInt64, UInt64, UInt64)

    /// The digest whose bytes are `bytes`; nil unless there are 32.
    public init?(bytes: some Collection<UInt8>) {
        let bytes = Array(bytes)
        guard bytes.count == Self.byteCount else { return nil }
        self.init(unsafe bytes.span.bytes)
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

    /// The first 12 digits: what lists show.
    public var short: String { String(description.prefix(12)) }

    /// Whether all 32 bytes are equal.
    public static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }

    /// The order of the bytes, as LMDB sorts its keys.
    public static func < (left: Digest, right: Digest) -> Bool { left.words < right.words }

    /// Feeds the first 8 bytes, which are as good as random.
    public func hash(into hasher: inout Hasher) { hasher.combine(words.0) }
}

// MARK: - Hashing

extension Digest {
    /// SHA-256 of `bytes`.
    public static func sha256(_ bytes: [UInt8]) -> Digest {
        unsafe bytes.withUnsafeBytes { part in unsafe sha256(part, UnsafeRawBufferPointer(start: nil, count: 0)) }
    }

    /// SHA-256 of two pieces of memory, one after the other. Nothing is allocated.
    static func sha256(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) -> Digest {
        var digest: InlineArray<32, UInt8> = .init(repeating: 0)
        var output = digest.mutableSpan
        var parts = (first.baseAddress, second.baseAddress)
        var sizes = (first.count, second.count)
        unsafe output.withUnsafeMutableBufferPointer { output in
            unsafe withUnsafePointer(to: &parts) { parts in
                unsafe withUnsafePointer(to: &sizes) { sizes in
                    let parts = unsafe UnsafeRawPointer(parts).assumingMemoryBound(to: UnsafeRawPointer?.self)
                    let sizes = unsafe UnsafeRawPointer(sizes).assumingMemoryBound(to: Int.self)
                    // Fails only when libcrypto has no SHA-256: nothing can be named then.
                    let done = unsafe chash_sha256(parts, sizes, 2, output.baseAddress)
                    precondition(done == 1, "libcrypto cannot compute SHA-256")
                }
            }
        }
        return unsafe Digest(digest.span.bytes)
    }
}
