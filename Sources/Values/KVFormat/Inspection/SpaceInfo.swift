// What a space looks like from outside.

public import KVFormat

/// A space: what may share pages, and how much of it there is. Times are milliseconds since the Unix epoch.
public struct SpaceInfo: Sendable, Equatable {
    /// The space root.
    public var root: PrefixHash
    /// The identity, with the salt as a digest only.
    public var descriptor: SpaceDescriptor
    /// Pages stored, tails included.
    public var pages: Int
    /// Pages with fewer tokens than the page size.
    public var tails: Int
    /// Tokens of all pages.
    public var tokens: Int
    /// Bytes of the decoded pages.
    public var rawBytes: ByteCount
    /// Bytes of the encoded pages, without padding.
    public var encodedBytes: ByteCount
    /// Bytes that the pages occupy on disk.
    public var slotBytes: ByteCount
    /// Tokens that hits have given.
    public var hitTokens: Int
    /// When a page was stored or used last.
    public var lastUse: Int64
    /// The engine's measured prefill time of a token in nanoseconds; nil when no engine has told.
    public var prefillNanoseconds: Int?
}
