// What a page looks like from outside. No token ids here: they are asked for by name, with `tokens(of:)`.

/// A stored page. A value type.
public struct PageInfo: Sendable, Equatable, Encodable {
    /// The prefix hash.
    public let hash: PrefixHash
    /// The prefix hash of the page before, or the space root.
    public let parent: PrefixHash
    /// The space root.
    public let root: PrefixHash
    /// Position of the page's first token in its sequence; for a block, how many blocks come before it.
    public let firstToken: Int
    /// Tokens of the page; 0 for a block.
    public let tokenCount: Int
    /// Whether the page has fewer tokens than the page size.
    public let isTail: Bool
    /// Whether it is a block: found by a key that an engine brought, and not by token ids.
    public let isBlock: Bool
    /// Bytes of the page as the engine gave it.
    public let rawBytes: ByteCount
    /// Bytes of the page as encoded, without padding.
    public let encodedBytes: ByteCount
    /// Bytes of the page's slot on disk.
    public let slotBytes: ByteCount
    /// When the page was stored.
    public let createdAt: Timestamp
    /// When it was used last, its storing included.
    public let lastUse: Timestamp
    /// How often it was used after it was stored.
    public let hits: Int
    /// How many requests branched off at the page or behind it: with the last use, what eviction goes by.
    public let branches: Int
    /// How many pins hold it; a pinned page is not evicted.
    public let pins: Int
    /// From when on it is a miss; nil for never.
    public let expiry: Timestamp?
    /// Pages that follow it directly.
    public let childCount: Int
    /// Names of its side states.
    public let sideStates: [String]

    /// Whether the page follows no other.
    public var isFirst: Bool { parent == root }

    /// All that is known.
    package init(
        hash: PrefixHash, parent: PrefixHash, root: PrefixHash, firstToken: Int, tokenCount: Int, isTail: Bool,
        isBlock: Bool, rawBytes: ByteCount, encodedBytes: ByteCount, slotBytes: ByteCount, createdAt: Timestamp,
        lastUse: Timestamp, hits: Int, branches: Int, pins: Int, expiry: Timestamp?, childCount: Int,
        sideStates: [String]
    ) {
        self.hash = hash
        self.parent = parent
        self.root = root
        self.firstToken = firstToken
        self.tokenCount = tokenCount
        self.isTail = isTail
        self.isBlock = isBlock
        self.rawBytes = rawBytes
        self.encodedBytes = encodedBytes
        self.slotBytes = slotBytes
        self.createdAt = createdAt
        self.lastUse = lastUse
        self.hits = hits
        self.branches = branches
        self.pins = pins
        self.expiry = expiry
        self.childCount = childCount
        self.sideStates = sideStates
    }
}
