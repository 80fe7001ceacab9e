// Beginning and ending transactions: the only place that handles what can happen when one begins.

import CLMDB
import Glibc
import Synchronization
package import Threads

extension Environment {
    /// Lends a snapshot to `body` for the duration of the call. Readers never wait for a writer, nor a writer for them.
    ///
    /// - Throws: what `body` throws; `.closed`, `.forked`, `.processIdTaken`, `.mapResized`, `.replaced`; a `.code`,
    ///   whose `isReadersFull` is true when no reader slot was left even after those of dead processes were freed, and
    ///   none became free within 50 milliseconds.
    /// - Complexity: beginning and ending take a fraction of a microsecond.
    package func read<R: ~Copyable, E: LMDBErrorConvertible>(
        _ body: (borrowing ReadTransaction) throws(E) -> R
    ) throws(E) -> R {
        let core: TransactionCore
        do throws(LMDBError) { core = try begin(isWriting: false) } catch { throw E(error) }
        defer { gate.leave() }
        return try Self.lend(ReadTransaction(core), to: body)
    }

    /// Runs `body` in one write transaction, on the environment's own thread. Its changes are durable when this
    /// returns; when it throws, nothing has changed.
    ///
    /// Waits for the writers before it, in any process, but not beyond `deadline`; `EnvironmentOptions.patience` says
    /// how long without one. A writer that died is no obstacle. A transaction that has begun is not interrupted.
    ///
    /// - Throws: what `body` throws; `.closed`, `.forked`, `.mapResized`, `.replaced`; `.busy` when the transaction
    ///   could not begin in time; a `.code`: `EACCES` when access is `.readOnly`, and one whose `isFull` is true when
    ///   there was no room. Then nothing of the transaction is stored.
    package func write<R, E: LMDBErrorConvertible>(
        before deadline: Deadline? = nil, _ body: (inout WriteTransaction) throws(E) -> R
    ) throws(E) -> R {
        var outcome: Result<R, E>?
        do throws(LMDBError) {
            try requireOwnProcess()
            let isDone = try writer.run(
                before: deadline ?? .after(options.patience),
                begin: { [self] in Result { () throws(LMDBError) in try begin(isWriting: true) } },
                body: { [self] begun in
                    outcome = Result { () throws(E) in
                        let core: TransactionCore
                        do throws(LMDBError) { core = try begun.get() } catch { throw E(error) }
                        let result = try Self.lend(WriteTransaction(core), to: body)
                        noteWritten(core.snapshot.transaction + 1)
                        return result
                    }
                },
                end: { [self] wasBegun in
                    if wasBegun { gate.leave() }
                    WriterLock.release(descriptor)
                })
            if !isDone { throw .busy(process: WriterLock.holder(descriptor)) }
        } catch {
            throw E(error)
        }
        guard let outcome else { preconditionFailure("a transaction that was done has no outcome") }
        return try outcome.get()
    }

    /// What this process has written itself needs no check by its next transaction. To be called while no other process
    /// can write; a transaction that changed nothing makes no commit.
    private func noteWritten(_ commit: Int) {
        guard let opened else { return }
        var info = unsafe MDB_envinfo()
        guard unsafe mdb_env_info(opened.handle, &info) == MDB_SUCCESS, unsafe info.me_last_txnid == commit else {
            return
        }
        snapshots.checkedFreeList.store(commit, ordering: .relaxed)
    }

    /// Whether a thread of this process has been waiting for a writer of another process for a while.
    package static var isHeldUp: Bool { WriterLock.isHeldUp }

    /// Ends the snapshot before it returns, so that it has ended when the gate counts it out.
    private static func lend<R: ~Copyable, E: Error>(
        _ transaction: consuming ReadTransaction, to body: (borrowing ReadTransaction) throws(E) -> R
    ) throws(E) -> R {
        try body(transaction)
    }

    private static func lend<R, E: LMDBErrorConvertible>(
        _ transaction: consuming WriteTransaction, to body: (inout WriteTransaction) throws(E) -> R
    ) throws(E) -> R {
        let result = try body(&transaction)
        do throws(LMDBError) { try transaction.commit() } catch { throw E(error) }
        return result
    }
}

extension Environment {
    /// Begins a transaction inside the gate. The caller leaves the gate after the transaction has ended.
    ///
    /// A write transaction may have to wait for as long as another process writes. Its caller releases the writers'
    /// lock after the transaction, and after an error too.
    func begin(isWriting: Bool) throws(LMDBError) -> TransactionCore {
        try requireOwnProcess()
        var triedDeadReaders = false
        var isOverwritten = false
        var attempts = 0
        var waits = 0
        while attempts < LMDBLimits.beginAttempts {
            attempts += 1
            // Outside of the gate, so that waiting for another process holds up nobody here.
            if isWriting {
                // An attempt that failed still has it; opening LMDB anew drops it.
                if attempts > 1 { WriterLock.release(descriptor) }
                WriterLock.take(descriptor)
            }
            try gate.enter()
            let handle = unsafe opened?.handle
            let status: Int32?
            do throws(LMDBError) {
                switch try attempt(isWriting: isWriting) {
                case .success(let core): return core
                case .failure(let failure): status = failure.status
                }
            } catch {
                gate.leave()
                throw error
            }
            gate.leave()
            guard let status else {
                isOverwritten = true
                continue
            }
            switch status {
            case MDB_MAP_RESIZED:
                try followMap()
            case MDB_PANIC:
                try unsafe reopenUnlessTaken(insteadOf: handle)
            case MDB_READERS_FULL where !triedDeadReaders:
                triedDeadReaders = true
                _ = try freeDeadReaders()
            case MDB_READERS_FULL where waits < LMDBLimits.waitsForReaders:
                // A reader keeps its slot for one look-up or one part of a load.
                attempts -= 1
                waits += 1
                usleep(LMDBLimits.readersMicroseconds)
            case EAGAIN where options.access == .readWrite:
                isApart.store(true, ordering: .relaxed)
                try unsafe reopenUnlessTaken(insteadOf: handle)
            case EAGAIN:
                throw .processIdTaken
            default:
                throw .code(status, call: "mdb_txn_begin")
            }
        }
        throw isOverwritten ? .damaged("a meta page is damaged") : .mapResized
    }

    /// A status of LMDB that `begin` has an answer to; nil when two commits came between LMDB's choice of a meta page
    /// and the look at it, or the page is damaged.
    private struct Refusal: Error { let status: Int32? }

    /// Tries to begin a transaction inside the gate.
    private func attempt(isWriting: Bool) throws(LMDBError) -> Result<TransactionCore, Refusal> {
        guard try condition(isWriting: isWriting) == .sound, let opened else {
            return .failure(Refusal(status: MDB_PANIC))
        }
        var begun: OpaquePointer?
        let flags = isWriting ? 0 : UInt32(MDB_RDONLY)
        let status = unsafe mdb_txn_begin(opened.handle, nil, flags, &begun)
        guard let transaction = unsafe begun, status == MDB_SUCCESS else {
            return .failure(Refusal(status: status))
        }
        do throws(LMDBError) {
            try uncoverMissingEnd(of: opened, isWriting: isWriting)
            if let core = try unsafe core(transaction, of: opened, isWriting: isWriting) { return .success(core) }
            unsafe mdb_txn_abort(transaction)
            return .failure(Refusal(status: nil))
        } catch {
            unsafe mdb_txn_abort(transaction)
            throw error
        }
    }

    /// As `reopen`. When another process has taken the same process id meanwhile, the next attempt finds another one.
    private func reopenUnlessTaken(insteadOf handle: OpaquePointer?) throws(LMDBError) {
        do throws(LMDBError) {
            try unsafe reopen(insteadOf: handle)
        } catch {
            guard case .code(EAGAIN, _) = error else { throw error }
            isApart.store(true, ordering: .relaxed)
        }
    }

    /// Adopts the map size that another process set.
    private func followMap() throws(LMDBError) { try remap(to: 0) }

    /// Reserves another amount of address space than the environment was opened with: a multiple of the system's page
    /// size, or what the file needs when that is more.
    ///
    /// - Throws: `.closed`, `.forked`; `.mapResized` when a transaction of this process does not end in time; a `.code`
    ///   when the address space is not to be had, and the environment is of no use then.
    package func setMapSize(_ byteCount: Int) throws(LMDBError) {
        precondition(byteCount > 0, "sizes of an environment are positive")
        try requireOwnProcess()
        try remap(to: byteCount)
    }

    /// Maps the file again while no transaction of this process is open: LMDB would move the map under its feet.
    private func remap(to byteCount: Int) throws(LMDBError) {
        try gate.whileEmpty { () throws(LMDBError) in
            guard let old = opened, byteCount != old.map.byteCount else { return }
            do throws(LMDBError) {
                try check(unsafe mdb_env_set_mapsize(old.handle, byteCount), call: "mdb_env_set_mapsize")
                old.map.forget()
                opened?.map = try unsafe MapRegion(of: old.handle)
                if let opened { try coverMissingEnd(of: opened) }
            } catch {
                // LMDB has given up the old map by now, and nobody knows the new one: the next transaction opens anew.
                opened?.close()
                opened = nil
                throw error
            }
        }
    }

    /// The data file's size in bytes, asked of the system only when LMDB uses more than was seen before.
    func fileBytes(of opened: Opened) throws(LMDBError) -> Int {
        var info = unsafe MDB_envinfo()
        try check(unsafe mdb_env_info(opened.handle, &info), call: "mdb_env_info")
        let known = fileBytes.load(ordering: .relaxed)
        let (used, overflow) = unsafe info.me_last_pgno.addingReportingOverflow(1)
        guard overflow || used > known / pageSize else { return known }
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        fileBytes.store(size, ordering: .relaxed)
        return size
    }
}
