// Beginning and ending transactions: the only place that handles what can happen when one begins.

import CLMDB
import Glibc
import Synchronization

extension Environment {
    /// Lends a snapshot to `body` for the duration of the call. Readers never wait for a writer, nor a writer for them.
    ///
    /// - Throws: what `body` throws; `.closed`, `.forked`, `.processIdTaken`, `.mapResized`; a `.code`, whose
    ///   `isReadersFull` is true when no reader slot was left even after those of dead processes were freed.
    /// - Complexity: beginning and ending take a fraction of a microsecond.
    package func read<R: ~Copyable, E: LMDBErrorConvertible>(
        _ body: (borrowing ReadTransaction) throws(E) -> R
    ) throws(E) -> R {
        let core: TransactionCore
        do throws(LMDBError) { core = try begin(flags: UInt32(MDB_RDONLY)) } catch { throw E(error) }
        defer { gate.leave() }
        return try Self.lend(ReadTransaction(core), to: body)
    }

    /// Runs `body` in one write transaction. Its changes are durable when this returns; when it throws, nothing has
    /// changed.
    ///
    /// Waits for the writer before it, in any process. A writer that died is no obstacle.
    ///
    /// - Throws: what `body` throws; `.closed`, `.forked`, `.mapResized`; a `.code`: `EACCES` when access is
    ///   `.readOnly`, and one whose `isFull` is true when there was no room. Then nothing of the transaction is stored.
    package func write<R: ~Copyable, E: LMDBErrorConvertible>(
        _ body: (inout WriteTransaction) throws(E) -> R
    ) throws(E) -> R {
        let core: TransactionCore
        do throws(LMDBError) { core = try begin(flags: 0) } catch { throw E(error) }
        defer { gate.leave() }
        let result = try Self.lend(WriteTransaction(core), to: body)
        // What this process has written itself needs no check by its next transaction.
        snapshots.checkedFreeList.store(core.snapshot.transaction + 1, ordering: .relaxed)
        return result
    }

    /// Ends the snapshot before it returns, so that it has ended when the gate counts it out.
    private static func lend<R: ~Copyable, E: Error>(
        _ transaction: consuming ReadTransaction, to body: (borrowing ReadTransaction) throws(E) -> R
    ) throws(E) -> R {
        try body(transaction)
    }

    private static func lend<R: ~Copyable, E: LMDBErrorConvertible>(
        _ transaction: consuming WriteTransaction, to body: (inout WriteTransaction) throws(E) -> R
    ) throws(E) -> R {
        let result = try body(&transaction)
        do throws(LMDBError) { try transaction.commit() } catch { throw E(error) }
        return result
    }
}

extension Environment {
    /// Begins a transaction inside the gate. The caller leaves the gate after the transaction has ended.
    func begin(flags: UInt32) throws(LMDBError) -> TransactionCore {
        try requireOwnProcess()
        var triedDeadReaders = false
        var isOverwritten = false
        for _ in 0..<LMDBLimits.remapAttempts {
            try gate.enter()
            var begun: OpaquePointer?
            let status = unsafe mdb_txn_begin(handle, nil, flags, &begun)
            if let transaction = unsafe begun, status == MDB_SUCCESS {
                do throws(LMDBError) {
                    if let core = try unsafe core(transaction, isWriting: flags == 0) { return core }
                    // Two commits came between LMDB's choice of a meta page and the look at it, or it is damaged.
                    unsafe mdb_txn_abort(transaction)
                    gate.leave()
                    isOverwritten = true
                    continue
                } catch {
                    unsafe mdb_txn_abort(transaction)
                    gate.leave()
                    throw error
                }
            }
            gate.leave()
            switch status {
            case MDB_MAP_RESIZED:
                try followMap()
            case MDB_READERS_FULL where !triedDeadReaders:
                triedDeadReaders = true
                _ = try freeDeadReaders()
            case EAGAIN:
                throw .processIdTaken
            default:
                throw .code(status, call: "mdb_txn_begin")
            }
        }
        throw isOverwritten ? .damaged("a meta page is damaged") : .mapResized
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
            guard byteCount != map.byteCount else { return }
            try check(unsafe mdb_env_set_mapsize(handle, byteCount), call: "mdb_env_set_mapsize")
            map.forget()
            map = try unsafe MapRegion(of: handle)
        }
    }

    /// The data file's size in bytes, asked of the system only when LMDB uses more than was seen before.
    func currentFileBytes() throws(LMDBError) -> Int {
        var info = unsafe MDB_envinfo()
        try check(unsafe mdb_env_info(handle, &info), call: "mdb_env_info")
        let known = fileBytes.load(ordering: .relaxed)
        let (used, overflow) = unsafe info.me_last_pgno.addingReportingOverflow(1)
        guard overflow || used > known / pageSize else { return known }
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        fileBytes.store(size, ordering: .relaxed)
        return size
    }
}
