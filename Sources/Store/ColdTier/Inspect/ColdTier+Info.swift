// Answers about the whole store and its spaces.

package import KVFormat
internal import LMDB
internal import PageCodec
internal import Threads

extension ColdTier {
    /// The whole store at this moment. Walks all nodes and recency records, in bounded read transactions: about a
    /// second for a million pages.
    package func info() throws(StoreError) -> StoreInfo {
        let census = try inspecting { () throws(LMDBError) in try self.census() }
        let pinned = try inspecting { () throws(LMDBError) in try countPinned() }
        let file = try inspecting { () throws(LMDBError) in try environment.info() }
        let path = path
        let tables = tables
        return try reading { (transaction) throws(LMDBError) in
            let format = try transaction.read(tables.meta, MetaKey.format) { FormatRecord($0) }.record
            let stored = try transaction.read(tables.meta, MetaKey.counters) { CountersRecord($0) }.record
            let counters = stored ?? CountersRecord()
            return StoreInfo(
                path: path, formatVersion: Int(format?.version ?? 0),
                createdAt: Timestamp(milliseconds: format?.createdAt ?? 0), quotaBytes: ByteCount(counters.quota),
                slotBytes: ByteCount(counters.slotBytes),
                indexBytes: ByteCount(counters.indexBytes), encodedBytes: ByteCount(counters.encodedBytes),
                rawBytes: ByteCount(counters.rawBytes), fileBytes: ByteCount(UInt64(file.fileBytes)),
                freeBytes: ByteCount(UInt64(file.freeBytes)),
                mapBytes: ByteCount(UInt64(file.mapSize)), pages: Int(clamping: counters.pages),
                tails: census.values.reduce(0) { $0 + $1.tails },
                tokens: census.values.reduce(0) { $0 + $1.tokens },
                spaces: try transaction.entryCount(tables.spaces), sideStates: Int(clamping: counters.sideStates),
                seenPages: SeenPages.pageCount(folder: path), pinnedPages: pinned,
                quarantinedPages: try transaction.entryCount(tables.quarantine),
                evictedPages: Int(clamping: counters.evicted), generation: Int(clamping: counters.generation),
                readers: file.readers, readerSlots: file.maxReaders, oldestReaderLag: file.oldestReaderLag,
                openers: Opener.list(folder: path),
                lmdbVersion: Environment.libraryVersion, zstdVersion: FrameCodec.zstdVersion)
        }
    }

    /// All spaces, used last first. Walks all nodes, as `info()`. A space whose descriptor is damaged is left out;
    /// `verify` names it.
    package func spaces() throws(StoreError) -> [SpaceInfo] {
        let census = try inspecting { () throws(LMDBError) in try self.census() }
        var spaces: [SpaceInfo] = []
        try inspecting { () throws(LMDBError) in
            try walk(tables.spaces) { (_, key, value) throws(LMDBError) in
                guard let root = PrefixHash(key: key), let record = SpaceRecord(value, root: root) else { return .next }
                let count = census[root] ?? SpaceCensus()
                spaces.append(
                    SpaceInfo(
                        root: root, descriptor: record.descriptor, pages: count.pages, tails: count.tails,
                        tokens: count.tokens, rawBytes: ByteCount(count.rawBytes),
                        encodedBytes: ByteCount(count.encodedBytes), slotBytes: ByteCount(count.slotBytes),
                        hitTokens: Int(clamping: record.hitTokens), lastUse: Timestamp(milliseconds: record.lastUse),
                        prefillTimePerToken: record.prefillNanoseconds == 0
                            ? nil : .nanoseconds(Int64(clamping: record.prefillNanoseconds)),
                        sealing: record.sealing))
                return .next
            }
        }
        return spaces.sorted { ($0.lastUse, $0.root) > ($1.lastUse, $1.root) }
    }

    /// What the nodes of each space add up to.
    private func census() throws(LMDBError) -> [PrefixHash: SpaceCensus] {
        var census: [PrefixHash: SpaceCensus] = [:]
        try walk(tables.nodes) { (_, key, value) throws(LMDBError) in
            if let hash = PrefixHash(key: key), let node = NodeRecord(value, key: hash) {
                census[node.root, default: SpaceCensus()].count(node)
            }
            return .next
        }
        return census
    }

    private func countPinned(upTo limit: Int = .max) throws(LMDBError) -> Int {
        var pinned = 0
        try walk(tables.recency) { (_, key, value) throws(LMDBError) in
            if let hash = PrefixHash(key: key), let recency = RecencyRecord(value, key: hash), recency.pins > 0 {
                pinned += 1
            }
            return pinned < limit ? .next : .stop
        }
        return pinned
    }

    /// `.quotaFull` when pages were refused since the last call and pins are among what keeps their place; nil
    /// otherwise. A prompt that is longer than the whole quota is refused in part as well: that is no fault of anybody.
    ///
    /// - Complexity: a glance, unless pages were refused. Then it looks for the first pinned page.
    package func quotaRefusal() -> StoreError? {
        let isNew = refusals.withLock { count in
            defer { count.told = count.refused }
            return count.refused > count.told
        }
        guard isNew else { return nil }
        do throws(StoreError) {
            let pinned = try inspecting { () throws(LMDBError) in try countPinned(upTo: 1) }
            return pinned > 0 ? .quotaFull(quota: quota) : nil
        } catch {
            return error
        }
    }
}

extension SpaceRecord {
    fileprivate var sealing: SpaceSealing {
        if let wrapped = WrappedKey(wrappedKey) { return .sealed(keyID: wrapped.keyID) }
        if wrappedKey.isEmpty { return .none }
        return wrappedKey == WrappedKey.gone ? .forgotten : .damaged
    }
}

/// Sums over the nodes of one space.
struct SpaceCensus: Equatable {
    var pages = 0
    var tails = 0
    var tokens = 0
    var rawBytes: UInt64 = 0
    var encodedBytes: UInt64 = 0
    var slotBytes: UInt64 = 0

    mutating func count(_ node: NodeRecord) {
        pages += 1
        if node.flags.contains(.tail) { tails += 1 }
        tokens += Int(node.tokenCount)
        rawBytes &+= node.rawBytes
        encodedBytes &+= node.encodedBytes
        slotBytes &+= UInt64(node.slotBytes)
    }
}
