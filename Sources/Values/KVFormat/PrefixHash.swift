// The chained hash that names a page together with everything before it.

/// The name of a page: SHA-256, chained over the pages before it from the space root, which is the first link. 32
/// bytes; order and equality are those of the bytes. A value type.
public struct PrefixHash: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Bytes of a hash.
    public static let byteCount = Digest.byteCount

    /// The key of values that belong to no page: zeros.
    package static let zero = PrefixHash(unsafe Digest([UInt8](repeating: 0, count: byteCount).span.bytes))

    private let digest: Digest

    /// The hash that is this digest.
    package init(_ digest: Digest) { self.digest = digest }

    /// The hash whose bytes are `bytes`; nil unless there are 32.
    public init?(bytes: some Collection<UInt8>) {
        guard let digest = Digest(bytes: bytes) else { return nil }
        self.digest = digest
    }

    /// Reads 32 bytes of `span` from `offset`.
    package init(_ span: RawSpan, at offset: Int = 0) { digest = Digest(span, at: offset) }

    /// The hash written as 64 hexadecimal digits; nil for anything else.
    public init?(hex: String) {
        guard let digest = Digest(hex: hex) else { return nil }
        self.digest = digest
    }

    /// The 32 bytes.
    public var bytes: [UInt8] { digest.bytes }

    /// The 32 bytes in their order, as four words of memory: a key without an allocation.
    package var inlineBytes: InlineArray<4, UInt64> { digest.inlineBytes }

    /// Lends the 32 bytes for the length of the call; nothing is allocated.
    func withBytes<R: ~Copyable, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        try digest.withBytes(body)
    }

    /// The first 8 bytes as a number: enough to spread hashes over a table or to seed a checksum.
    package var prefixWord: UInt64 { digest.prefixWord }

    /// 64 hexadecimal digits.
    public var description: String { digest.description }

    /// The first 12 digits: what lists show.
    public var short: String { digest.short }

    /// The order of the bytes, as LMDB sorts its keys.
    public static func < (left: PrefixHash, right: PrefixHash) -> Bool { left.digest < right.digest }
}
