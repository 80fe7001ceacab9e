// What a page looks like from outside. No token ids here: they are asked for by name, with `tokens(of:)`.

public import KVFormat

/// A stored page. Times are milliseconds since the Unix epoch.
public struct PageInfo: Sendable, Equatable {
    /// The prefix hash.
    public var hash: PrefixHash
    /// The prefix hash of the page before, or the space root.
    public var parent: PrefixHash
    /// The space root.
    public var root: PrefixHash
    /// Position of the page's first token in its sequence.
    public var firstToken: Int
    /// Tokens of the page.
    public var tokenCount: Int
    /// Whether the page has fewer tokens than the page size.
    public var isTail: Bool
    /// Whether it is a block: found by a key that an engine brought, and not by token ids.
    public var isBlock: Bool
    /// Bytes of the decoded page.
    public var rawBytes: ByteCount
    /// Bytes of the encoded page, without padding.
    public var encodedBytes: ByteCount
    /// Bytes that the page occupies on disk.
    public var slotBytes: ByteCount
    /// When the page was stored.
    public var createdAt: Int64
    /// When it was used last, its storing included.
    public var lastUse: Int64
    /// How often it was used after it was stored.
    public var hits: Int
    /// How many requests branched off at the page or behind it: with the last use, what eviction goes by.
    public var branches: Int
    /// How many pins hold it; a pinned page is not evicted.
    public var pins: Int
    /// From when on it is a miss; nil for never.
    public var expiry: Int64?
    /// Pages that follow it directly.
    public var childCount: Int
    /// Names of its side states.
    public var sideStates: [String]

    /// Whether the page follows no other.
    public var isFirst: Bool { parent == root }
}

/// One frame of a page's record: a group of planes with a checksum of its own.
public struct FrameInfo: Sendable, Equatable {
    /// The layers in it; the first and the last perhaps in part. None in a block.
    public var layers: Range<Int>
    /// The codec's name: `raw`, `zstd`, `kbit` or `zstd-plain`.
    public var codec: String
    /// Bytes before encoding.
    public var rawBytes: ByteCount
    /// Bytes after encoding.
    public var encodedBytes: ByteCount
    /// Whether the encoded bytes have the checksum written with them.
    public var isSound: Bool
}

/// The order of a list of pages.
public enum PageOrder: String, Sendable, CaseIterable {
    /// Used last, first.
    case recent
    /// Most bytes on disk first.
    case size
    /// Most hits first.
    case hits
    /// By position in the sequence, the first pages of sequences first.
    case position
}

/// What the first digits of a hash stand for.
public enum HashResolution: Sendable, Equatable {
    /// Nothing begins with them, or they are no hexadecimal digits.
    case none
    /// One hash does.
    case unique(PrefixHash)
    /// Several do; the first of them.
    case ambiguous([PrefixHash])
}

/// What a trim did.
public struct TrimReport: Sendable, Equatable {
    /// Pages evicted.
    public var pages: Int
    /// Bytes given free, index included.
    public var freedBytes: ByteCount
    /// Bytes in use afterwards, as the quota counts them.
    public var usedBytes: ByteCount
    /// Whether the target was reached; not when the rest is pinned.
    public var isComplete: Bool
}
