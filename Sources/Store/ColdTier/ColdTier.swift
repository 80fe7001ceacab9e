// The cold tier: pages on disk, in one LMDB environment per store.

internal import Glibc
package import KVFormat
package import LMDB
internal import Threads

/// The disk tier of a store: a folder that any number of processes share.
///
/// `match` finds pages by token ids, `lend` lends them where they lie in the file, and `put` stores them in batches of
/// one transaction each. Readers never wait for writers. A page that cannot be trusted is a miss, and the next writer
/// removes it. Thread-safe: any thread may make any call, but not inside another call.
package final class ColdTier: Sendable {
    /// The store's folder, as given.
    package let path: String
    /// How it was opened.
    package let options: ColdOptions
    /// Limit on the bytes that it uses on disk, as stored when it was opened.
    package let quota: ByteCount
    /// Set when this opening lowered the quota below what was in use.
    package let quotaNotice: QuotaNotice?
    /// Set when this opening moved a damaged store aside.
    package let setAsideNotice: SetAsideNotice?

    let environment: Environment
    let tables: Tables
    let pending = PendingWork()
    let writeback = Writeback()
    private let opener: Opener
    let transactionMemory = TransactionMemory()

    /// Opens the store in the folder `path`. Makes one when there is none and `options.opening` allows it.
    ///
    /// A new store is made in a separate folder, synced, and then linked into place, so that nobody ever sees an
    /// incomplete one. If two processes make one at the same time, both succeed and share it. The folder has mode 0700
    /// and its files 0600.
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
        // It ends when the store is open and this process is in the list of openers.
        let mark = StandardDescriptors.taken { OpeningMark(folder: path) }
        defer { withExtendedLifetime(mark) {} }
        let (found, notice) = try StandardDescriptors.taken { () throws(StoreError) in
            try Containment(folder: folder, mark: mark).prepare()
        }
        setAsideNotice = notice
        // If the counters are damaged and this opening only inspects, the quota decides only about the size of the map,
        // which follows the file anyway.
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
        let role: OpenerRole = options.opening == .createIfMissing ? .engine : .tool
        opener = StandardDescriptors.taken { Opener(folder: path, role: role) }
        // Inspecting a store, or changing it with a tool, leaves the engines' quota as it is.
        if options.opening == .createIfMissing, found.quota != quota { try writeQuota() }
    }

    /// Opens a store that exists and leaves its quota as it is. Engines of other processes may have it open.
    /// - Throws: as `init(path:options:)`; `.notAFolder` or `.notAStore` when there is no store. It never makes one.
    package convenience init(existing path: String) throws(StoreError) {
        try self.init(path: path, options: ColdOptions(opening: .existing))
    }

    /// Writes what is pending and closes the store, after the running calls have ended. A second call does nothing.
    package func close() {
        // Only uses and suspects can fail to be written here. Uses cost accuracy only, and the next process finds the
        // damage again.
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
    /// The notice about a new quota; nil when it is not lower, or when everything stored fits into it.
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
            // The writing threads look up too, and what they cannot read keeps them from writing.
            if error.isDamage { noteDamagedTrees() }
            throw StoreError(error, path: path, options: options)
        }
    }

    /// Runs `body` in one write transaction, which also writes the counters.
    package func writing<R>(
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(StoreError) -> R {
        do throws(LMDBError) {
            return try transact(body)
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// As `writing`, but throws LMDB's errors.
    ///
    /// - Parameter bytes: disk that the transaction must find for what it stores. What an eviction needs is reserved in
    ///   any case, as far as the disk allows.
    func transact<R>(
        reserving bytes: Int = 0,
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        // A dead reader keeps LMDB from reusing every page that was freed since.
        _ = try environment.freeDeadReaders()
        let now = SystemClock.wallMilliseconds()
        do throws(LMDBError) {
            return try transactOnce(reserving: bytes, now: now, body)
        } catch {
            if error.isDamage { noteDamagedTrees() }
            throw error
        }
    }

    private func transactOnce<R>(
        reserving bytes: Int, now: Int64,
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        try environment.write { (transaction) throws(LMDBError) in
            // Inside the transaction, so that no other process counts on the same bytes.
            let isReserved = try transaction.reserveDisk(evictionReserve + bytes)
            guard isReserved || bytes == 0 else { throw .code(ENOSPC, call: "fallocate") }
            var session = try WriteSession(&transaction, tables, now: now)
            let result = try body(&transaction, &session)
            try session.finish(&transaction)
            return result
        }
    }
}
