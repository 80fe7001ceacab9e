// What a whole store looks like from outside.

public import KVFormat

/// A store at one moment, all processes together. Times are milliseconds since the Unix epoch.
public struct StoreInfo: Sendable, Equatable {
    /// The store's folder, as given.
    public var path: String
    /// Version of the format on disk.
    public var formatVersion: Int
    /// When the store was made.
    public var createdAt: Int64
    /// Bytes that may be used on disk, whoever writes.
    public var quota: ByteCount
    /// Bytes that pages and side states occupy, padding included.
    public var slotBytes: ByteCount
    /// Bytes of nodes and edges, as the quota counts them.
    public var indexBytes: ByteCount
    /// Bytes of pages and side states as encoded, without padding.
    public var encodedBytes: ByteCount
    /// Bytes of the decoded pages.
    public var rawBytes: ByteCount
    /// Bytes of the data file.
    public var fileBytes: ByteCount
    /// Bytes inside the data file that are free and will be used again.
    public var freeBytes: ByteCount
    /// Bytes of address space that LMDB has reserved.
    public var mapBytes: ByteCount
    /// Pages stored, tails included.
    public var pages: Int
    /// Pages with fewer tokens than the page size.
    public var tails: Int
    /// Tokens of all pages.
    public var tokens: Int
    /// Spaces registered.
    public var spaces: Int
    /// Side states stored.
    public var sideStates: Int
    /// Pages under at least one pin: eviction spares them.
    public var pinnedPages: Int
    /// Pages that are listed as taken out, since they could not be trusted, and were not stored anew.
    public var quarantinedPages: Int
    /// Pages evicted since the store was made.
    public var evictedPages: Int
    /// Write transactions since the store was made.
    public var generation: Int
    /// Read transactions open now.
    public var readers: Int
    /// How many could be open at once.
    public var readerSlots: Int
    /// Transactions committed since the oldest open read transaction began; nil without readers.
    public var oldestReaderLag: Int?
    /// The processes that have the store open, this one among them, and those that ended without closing it.
    public var openers: [OpenerInfo]
    /// Version of the LMDB library in this process.
    public var lmdbVersion: String
    /// Version of the zstd library in this process.
    public var zstdVersion: String

    /// What counts against the quota.
    public var usedBytes: ByteCount { ByteCount(slotBytes.value &+ indexBytes.value) }
}
