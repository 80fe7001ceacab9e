// The cold tier: pages on disk, in one LMDB environment a store.

package import KVFormat
package import LMDB
internal import Threads

/// The disk tier of a store: a folder that any number of processes share.
///
/// Pages are found by token ids (`match`), lent where they lie in the file (`lend`) and stored in batches, one
/// transaction each (`put`). Readers never wait for writers. Whatever cannot be trusted is a miss, and is taken out by
/// the next writer. Thread-safe; every call may be made from any thread, none inside another.
package final class ColdTier: Sendable {
    /// The store's folder, as given.
    package let path: String
    /// How it was opened.
    package let options: ColdOptions
    /// Bytes that it may use on disk, as stored when it was opened.
    package let quota: ByteCount
    /// What this opening lowered the quota to, when that is less than what was in use.
    package let quotaNotice: QuotaNotice?

    let environment: Environment
    let tables: Tables
    let pending = PendingWork()
    let writeback = Writeback()
    private let opener: Opener
    let transactionMemory = TransactionMemory()

    /// Opens the store in the folder `path`; makes it when there is none and `options.opening` allows it.
    ///
    /// A new store is made aside, synced and then linked into place, so that a half-made one is never seen; two
    /// processes that make one at once both succeed and share it. Folder 0700, files 0600.
    ///
    /// - Throws: `.invalidOption` for a quota outside `Limits.quota` and an unknown `PFX_CPU`; `.notAFolder`,
    ///   `.notAStore`, `.readOnly`, `.permissions`, `.networkFileSystem`, `.alreadyOpen`, `.formatMismatch`,
    ///   `.damaged`, `.diskFull`, `.system`.
    package init(path: String, options: ColdOptions) throws(StoreError) {
        try CPULevel.check()
        if let quota = options.quota, !Limits.quota.contains(quota) {
            throw .outside(Limits.quota, "quota", quota)
        }
        guard Limits.readers.contains(options.maxReaders) else {
            throw .outside(Limits.readers, "number of readers", options.maxReaders)
        }
        let folder = StoreFolder(path: path, options: options)
        let found = try folder.prepare()
        // With damaged counters, the quota of one who only looks decides about the map alone, which follows the file
        // anyway.
        quota = options.quota ?? found.quota ?? folder.newQuota
        var options = options
        options.quota = quota
        quotaNotice = options.opening == .existing ? nil : found.counters?.notice(of: quota)
        self.path = path
        self.options = options
        do throws(LMDBError) {
            environment = found.environment
            try environment.setMapSize(options.mapSize)
            tables = try Tables(environment)
        } catch {
            throw StoreError(error, path: path, options: options)
        }
        opener = Opener(folder: path, role: options.opening == .createIfMissing ? .engine : .tool)
        // Whoever only looks at a store, or works on it with a tool, leaves the engines' quota as it is.
        if options.opening == .createIfMissing, found.quota != quota { try writeQuota() }
    }

    /// Opens a store that exists and leaves its quota as it is. Engines of other processes may have it open.
    ///
    /// - Throws: as `init(path:options:)`; `.notAFolder` and `.notAStore` when there is no store. Nothing is made.
    package convenience init(existing path: String) throws(StoreError) {
        try self.init(path: path, options: ColdOptions(opening: .existing))
    }

    /// Writes what is pending and closes the store, once the calls that are running have ended. A second call does
    /// nothing.
    package func close() {
        // What cannot be written now is uses and damage: the next process finds both again.
        try? flushTouches()
        writeback.close()
        environment.close()
        opener.leave()
    }

    /// Whether a page is stored. Costs one look-up.
    package func contains(_ hash: PrefixHash) throws(StoreError) -> Bool {
        guard pending.suspects[hash] == nil else { return false }
        return try reading { (transaction) throws(LMDBError) in try transaction.has(tables.pages, hash.bytes) }
    }

    /// Damaged pages that this process has found since it opened the store.
    package var damagedPages: Int { pending.damagedPages }

    private func writeQuota() throws(StoreError) {
        let quota = quota.value
        try writing { (_, session) throws(LMDBError) in session.counters.quota = quota }
    }
}

extension CountersRecord {
    /// What a new quota evicts; nil when it is no lower, or all that is stored fits into it.
    fileprivate func notice(of new: ByteCount) -> QuotaNotice? {
        guard new.value < min(quota, usedBytes) else { return nil }
        return QuotaNotice(
            previous: ByteCount(quota), quota: new, usedBytes: ByteCount(usedBytes), pages: Int(clamping: pages))
    }
}

extension ColdTier {
    /// Lends a snapshot to `body`.
    package func reading<R>(
        _ body: (borrowing ReadTransaction) throws(LMDBError) -> R
    ) throws(StoreError) -> R {
        do throws(LMDBError) {
            return try environment.read(body)
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// Runs `body` in one write transaction with the counters at hand; they are written with it.
    package func writing<R>(
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(StoreError) -> R {
        do throws(LMDBError) {
            return try transact(body)
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// As `writing`, in LMDB's own words.
    func transact<R>(
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        // A dead reader keeps every page that was freed since from being used again.
        _ = try environment.freeDeadReaders()
        let now = SystemClock.wallMilliseconds()
        return try environment.write { (transaction) throws(LMDBError) in
            var session = try WriteSession(&transaction, tables, now: now)
            let result = try body(&transaction, &session)
            try session.finish(&transaction)
            return result
        }
    }
}
