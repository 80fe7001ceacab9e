// What a whole store looks like from outside.

/// A store at one moment, all processes together. A value type. As JSON, sizes are numbers of bytes and times are text
/// in ISO 8601, in UTC.
public struct StoreInfo: Sendable, Equatable, Encodable {
    /// The store's folder, as given.
    public let path: String
    /// Version of the format on disk.
    public let formatVersion: Int
    /// When the store was made.
    public let createdAt: Timestamp
    /// Bytes that all processes together may use on disk.
    public let quotaBytes: ByteCount
    /// Bytes that count against the quota: slots and index.
    public let usedBytes: ByteCount
    /// Bytes of the slots of pages and side states, padding included.
    public let slotBytes: ByteCount
    /// Bytes of nodes and edges, as the quota counts them.
    public let indexBytes: ByteCount
    /// Bytes of pages and side states as encoded, without padding.
    public let encodedBytes: ByteCount
    /// Bytes of the pages as the engine gave them.
    public let rawBytes: ByteCount
    /// Bytes of the data file, as `ls -l` shows them.
    public let fileBytes: ByteCount
    /// Bytes of the data file that are free and will be used again, those included that writers have reserved.
    public let freeBytes: ByteCount
    /// Bytes of address space that LMDB has reserved.
    public let mapBytes: ByteCount
    /// Pages stored, tails included.
    public let pages: Int
    /// Pages with fewer tokens than the page size.
    public let tails: Int
    /// Tokens of all pages.
    public let tokens: Int
    /// Spaces registered.
    public let spaces: Int
    /// Side states stored.
    public let sideStates: Int
    /// Pages whose uses are counted for engines that write after hits (`WritePolicy.afterHits`): those that are not
    /// stored yet, and some that are.
    public let seenPages: Int
    /// Pages under at least one pin: eviction spares them.
    public let pinnedPages: Int
    /// Pages that are listed as taken out because they could not be trusted, and that were not stored again since.
    public let quarantinedPages: Int
    /// Pages evicted since the store was made.
    public let evictedPages: Int
    /// Write transactions since the store was made.
    public let generation: Int
    /// Read transactions open now.
    public let readers: Int
    /// How many could be open at once.
    public let readerSlots: Int
    /// Transactions committed since the oldest open read transaction began; nil without readers.
    public let oldestReaderLag: Int?
    /// The processes that have the store open, this one among them, and those that ended without closing it.
    public var openers: [OpenerInfo]
    /// Version of the LMDB library in this process.
    public let lmdbVersion: String
    /// Version of the zstd library in this process.
    public let zstdVersion: String

    /// All that is known; `usedBytes` is the sum of slots and index.
    package init(
        path: String, formatVersion: Int, createdAt: Timestamp, quotaBytes: ByteCount, slotBytes: ByteCount,
        indexBytes: ByteCount, encodedBytes: ByteCount, rawBytes: ByteCount, fileBytes: ByteCount,
        freeBytes: ByteCount, mapBytes: ByteCount, pages: Int, tails: Int, tokens: Int, spaces: Int, sideStates: Int,
        seenPages: Int, pinnedPages: Int, quarantinedPages: Int, evictedPages: Int, generation: Int, readers: Int,
        readerSlots: Int,
        oldestReaderLag: Int?, openers: [OpenerInfo], lmdbVersion: String, zstdVersion: String
    ) {
        self.path = path
        self.formatVersion = formatVersion
        self.createdAt = createdAt
        self.quotaBytes = quotaBytes
        usedBytes = ByteCount(slotBytes.value &+ indexBytes.value)
        self.slotBytes = slotBytes
        self.indexBytes = indexBytes
        self.encodedBytes = encodedBytes
        self.rawBytes = rawBytes
        self.fileBytes = fileBytes
        self.freeBytes = freeBytes
        self.mapBytes = mapBytes
        self.pages = pages
        self.tails = tails
        self.tokens = tokens
        self.spaces = spaces
        self.sideStates = sideStates
        self.seenPages = seenPages
        self.pinnedPages = pinnedPages
        self.quarantinedPages = quarantinedPages
        self.evictedPages = evictedPages
        self.generation = generation
        self.readers = readers
        self.readerSlots = readerSlots
        self.oldestReaderLag = oldestReaderLag
        self.openers = openers
        self.lmdbVersion = lmdbVersion
        self.zstdVersion = zstdVersion
    }
}
