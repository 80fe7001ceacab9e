// The cold tier: pages on disk, in one LMDB environment per store.

internal import Glibc
package import KVFormat
package import LMDB
package import Threads

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
    let openSpaces = Guarded(OpenSpaces())
    private let patience = WriterPatience()
    let refusals = Guarded(Refusals())
    /// What puts keep free.
    let cushion = EvictionCushion()

    /// The spaces that this process has opened.
    struct OpenSpaces {
        /// Pages of no other space are stored.
        var descriptors: [PrefixHash: SpaceDescriptor] = [:]
        /// Those of the sealed spaces.
        var seals: [PrefixHash: SpaceSeal] = [:]
    }

    /// Pages for which the quota had no room; see `quotaRefusal`.
    struct Refusals {
        var refused = 0
        var told = 0
    }

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
        // A tool that looks says nothing about whether the store ends those who open it.
        let mark =
            options.opening == .createIfMissing
            ? StandardDescriptors.taken { FileLimit.isError { OpeningMark(folder: path) } } : nil
        defer { withExtendedLifetime(mark) {} }
        let (found, notice) = try StandardDescriptors.taken { () throws(StoreError) in
            try FileLimit.isError { () throws(StoreError) in try Containment(folder: folder, mark: mark).prepare() }
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
            tables = found.tables
        } catch {
            throw StoreError(error, path: path, options: options)
        }
        let role: OpenerRole = options.opening == .createIfMissing ? .engine : .tool
        opener = StandardDescriptors.taken { FileLimit.isError { Opener(folder: path, role: role) } }
        // Inspecting a store, or changing it with a tool, leaves the engines' quota as it is.
        if options.opening == .createIfMissing, found.quota != quota { try registerQuota() }
    }

    /// Opens a store that exists and leaves its quota as it is. Engines of other processes may have it open.
    /// - Throws: as `init(path:options:)`; `.notAFolder` or `.notAStore` when there is no store. It never makes one.
    package convenience init(existing path: String, sealingKey: SealingKey? = nil) throws(StoreError) {
        try self.init(path: path, options: ColdOptions(opening: .existing, sealingKey: sealingKey))
    }

    /// Writes what is pending and closes the store, after the running calls have ended. A second call does nothing.
    ///
    /// - Parameter deadline: until when it waits for a writer of another process; nil for as long as any call does. A
    ///   tool that only looks waits for nobody.
    package func close(before deadline: Deadline? = nil) {
        // Only uses and suspects can fail to be written here. Uses cost accuracy only, and the next process finds the
        // damage again.
        let patience = options.opening == .existing ? Self.openingPatience : options.patience
        try? flushTouches(before: deadline ?? .after(patience))
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

    /// Writes the quota, or leaves it to the next write when another process writes just now: opening waits for nobody.
    private func registerQuota() throws(StoreError) {
        pending.set(quota: quota.value)
        try registering { () throws(LMDBError) in
            try transact(before: .after(Self.openingPatience)) { (_, _) throws(LMDBError) in }
        }
    }

    /// How long an opening waits for the writers of other processes before it leaves what it has to say to the next
    /// write.
    static let openingPatience = Duration.milliseconds(50)

    /// Runs a write whose work is pending as well: it does not matter when no writer could begin.
    func registering(_ body: () throws(LMDBError) -> Void) throws(StoreError) {
        do throws(LMDBError) {
            try body()
        } catch .busy {
            return
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// Throws `.fileReplaced` when the data file or the folder was deleted, moved or replaced: what was written since
    /// is nobody's then.
    package func checkFiles() throws(StoreError) {
        do throws(LMDBError) { try environment.checkFiles() } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// Whether a thread of this process waits for a writer of another process, and has for a while.
    package static var isHeldUp: Bool { Environment.isHeldUp }
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
    ///
    /// - Parameter deadline: until when it waits for the writers of other processes; nil for as long as
    ///   `ColdOptions.patience` says.
    package func writing<R>(
        before deadline: Deadline? = nil,
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(StoreError) -> R {
        do throws(LMDBError) {
            return try transact(before: deadline, body)
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }

    /// As `writing`, but throws LMDB's errors. After a failure that may pass it is tried once more, from the beginning.
    ///
    /// - Parameter bytes: disk that the transaction must find behind the file's last page for what it stores. What an
    ///   eviction needs is reserved in any case, as far as the disk allows.
    func transact<R>(
        reserving bytes: Int = 0, before deadline: Deadline? = nil,
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        let deadline = deadline ?? .after(patience.current(options.patience))
        do throws(LMDBError) {
            do throws(LMDBError) {
                let result = try transactOnce(reserving: bytes, before: deadline, body)
                patience.note(isBusy: false)
                return result
            } catch {
                guard error.mayPass else { throw error }
                return try transactOnce(reserving: bytes, before: deadline, body)
            }
        } catch {
            if case .busy = error { patience.note(isBusy: true) }
            if error.isDamage { noteDamagedTrees() }
            throw error
        }
    }

    private func transactOnce<R>(
        reserving bytes: Int, before deadline: Deadline,
        _ body: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        // A dead reader keeps LMDB from reusing every page that was freed since.
        _ = try environment.freeDeadReaders()
        let now = SystemClock.wallMilliseconds()
        let registrations = pending.registrations
        let result = try environment.write(before: deadline) { (transaction) throws(LMDBError) in
            // Inside the transaction, so that no other process counts on the same bytes.
            if bytes > 0, try transaction.bytesAtBeginning > recordBound - bytes { throw .pastBound }
            let isReserved = try transaction.reserveDisk(evictionReserve + bytes)
            guard isReserved || bytes == 0 else { throw .code(ENOSPC, call: "fallocate") }
            var session = try WriteSession(&transaction, tables, now: now)
            session.recordBound = recordBound
            try session.register(registrations, &transaction)
            let result = try body(&transaction, &session)
            try session.finish(&transaction)
            return result
        }
        pending.forget(registrations)
        return result
    }
}
