// A full disk: what a writer reserves before it needs it, and how pages go so that others can come.
//
// Eviction writes too, a few pages of LMDB for each page that goes. A file that fills the disk to its last page could
// never give anything up again. So every write transaction begins by reserving, behind the file's last page, what an
// eviction needs; one that stores something also reserves room for that. Both are small parts of the quota, because
// they make the file longer than what is stored.

internal import Glibc
internal import KVFormat
internal import LMDB

extension ColdTier {
    /// What a transaction that evicts a few pages writes, generously: a dozen pages of LMDB for each. At most a part of
    /// the quota.
    var evictionReserve: Int { min(512 << 10, reserveLimit) }

    /// The most that is reserved for an eviction, and for what a transaction stores.
    private var reserveLimit: Int { Int(clamping: quota.value / 32) }

    /// What one more record writes anew of the index and of its neighbours, generously: a path of LMDB's pages in each
    /// of five tables.
    private static let indexReserve = 64 << 10

    /// How often as much as is wanted is evicted before the new pages are given up: a record needs a run of
    /// neighbouring pages of LMDB, and the pages that go are seldom neighbours. See `clearRun`.
    private static let rounds = 4

    /// Runs `store`, which stores `bytes` bytes in one transaction. When the disk is full, or the file has reached its
    /// bound, pages are evicted until they fit into the free part of the file.
    ///
    /// - Parameters:
    ///   - bytes: what is stored, as the quota counts it.
    ///   - records: in how many records.
    ///   - spared: pages that must not be evicted.
    ///   - kept: more of them.
    ///   - store: runs the transaction with a reserve of this many bytes. It must change nothing when it throws.
    /// - Returns: nil when there is no room, and a reader keeps what was evicted from being reused, or it was not
    ///   enough after a few rounds; also when the file has reached its bound and nothing is left to go.
    /// - Throws: what `store` throws; an error with `isDiskFull` when nothing is left to go, or all of it would not be
    ///   enough.
    func makingRoom<R>(
        for bytes: Int, of records: Int, sparing spared: Set<PrefixHash>, keeping kept: Set<PrefixHash> = [],
        _ store: (_ reserve: Int) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        // Index and neighbours of what is stored are written anew as well. What is reserved and not needed makes the
        // file longer, so it is no more than that.
        let reserve = bytes + min(bytes, records * Self.indexReserve)
        let wanted = 2 * bytes
        if let stored = try unlessFull({ () throws(LMDBError) in try store(min(reserve, reserveLimit)) }) {
            cushion.lower()
            return stored
        }
        let info = try environment.info()
        // However much is evicted, what is larger than the file never fits into it.
        guard bytes <= info.fileBytes else { throw .code(ENOSPC, call: "fallocate") }
        if info.freePages * info.pageSize >= wanted {
            if let stored = try unlessFull({ () throws(LMDBError) in try store(0) }) {
                cushion.lower()
                return stored
            }
            // A snapshot that is older than the last commits keeps what they freed. Evicting would only add to that,
            // one batch after the other.
            if let lag = info.oldestReaderLag, lag > 1 { return nil }
            if let stored = try afterClearing(bytes, of: records, store) { return stored }
        }
        cushion.raise(by: wanted, upTo: Int(clamping: quota.value / 8))
        for _ in 0..<Self.rounds {
            let before = try environment.info().lastTransaction
            let isMore = try evict(wanted, sparing: spared, kept)
            do throws(LMDBError) {
                return try store(0)
            } catch {
                if error == .pastBound, !isMore { return nil }
                guard error.isNoRoom, isMore else { throw error }
            }
            // A snapshot from before the eviction sees what was evicted: more of it would not help.
            if let oldest = try environment.info().oldestSnapshot, oldest <= before { return nil }
            if let stored = try afterClearing(bytes, of: records, store) { return stored }
        }
        return nil
    }

    /// Clears a run of the file and runs `store`. Nil when that is no use: records of a few pages find room in pieces,
    /// or need more of it.
    private func afterClearing<R>(
        _ bytes: Int, of records: Int, _ store: (_ reserve: Int) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        guard bytes >= records * Self.longRun, try clearRun(of: bytes) else { return nil }
        return try unlessFull { () throws(LMDBError) in try store(0) }
    }

    /// From this size on a record may find no run among as many free pages.
    private static let longRun = 32 << 10

    private func unlessFull<R>(_ body: () throws(LMDBError) -> R) throws(LMDBError) -> R? {
        do throws(LMDBError) {
            return try body()
        } catch {
            guard error.isNoRoom else { throw error }
            return nil
        }
    }

    /// Evicts `bytes` bytes: at once, or in smaller steps when eviction itself finds no room.
    ///
    /// - Returns: false when all that is left is pinned or spared.
    private func evict(
        _ bytes: Int, sparing spared: Set<PrefixHash>, _ kept: Set<PrefixHash>
    ) throws(LMDBError) -> Bool {
        var step = bytes
        var evicted = 0
        while evicted < bytes {
            do throws(LMDBError) {
                let given = try evictStep(step, sparing: spared, kept)
                if given == 0 { return evicted > 0 }
                evicted += given
            } catch {
                guard error.isDiskFull, step > 1 else { throw error }
                step /= 4
            }
        }
        return true
    }

    /// Evicts `bytes` bytes in one transaction. What they leave can be used two transactions later, hence the two small
    /// ones.
    ///
    /// - Returns: bytes evicted; 0 when all that is left is pinned or spared.
    private func evictStep(
        _ bytes: Int, sparing spared: Set<PrefixHash>, _ kept: Set<PrefixHash>
    ) throws(LMDBError) -> Int {
        let given = try transact { (transaction, session) throws(LMDBError) -> Int in
            session.spared = spared
            session.kept = kept
            let used = session.counters.usedBytes
            _ = try session.makeRoom(for: bytes, within: used, &transaction)
            return Int(clamping: used &- min(used, session.counters.usedBytes))
        }
        for _ in 0..<2 { try transact { (_, _) throws(LMDBError) in } }
        return given
    }
}
