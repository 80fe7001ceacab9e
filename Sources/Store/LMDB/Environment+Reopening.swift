// Opening LMDB anew under an environment that stays: after LMDB has given up its own, and after its lock file was
// replaced.

import CLMDB
import Glibc
import Synchronization
import Threads

extension Environment {
    /// How often readers look whether the files are in their places.
    private static let checkInterval: UInt64 = 100_000_000

    /// What a transaction has to do before it begins.
    enum Condition: Equatable {
        case sound
        /// LMDB refuses every call, or the lock file was replaced: the environment has to be opened anew.
        case needsReopening
    }

    /// Whether the files are those that are open. To be called inside the gate.
    ///
    /// A data file that was deleted or replaced holds what nobody else will ever see. With another lock file than
    /// everybody else's, this process would write at the same time as others, and they would not see its readers.
    ///
    /// - Throws: `.replaced` when the data file or the folder is not in its place.
    func condition(isWriting: Bool) throws(LMDBError) -> Condition {
        guard let opened else { return .needsReopening }
        guard let lock = opened.lock else { return .sound }
        if !isWriting {
            let now = SystemClock.monotonicNanoseconds()
            guard now &- checkedAt.load(ordering: .relaxed) > Self.checkInterval else { return .sound }
            checkedAt.store(now, ordering: .relaxed)
        }
        try files.requireInPlace()
        return files.isInPlace(lock: lock.identity) ? .sound : .needsReopening
    }

    /// Throws `.replaced` when folder or data file are not those that are open any more: what was committed is lost
    /// then.
    package func checkFiles() throws(LMDBError) {
        try requireOwnProcess()
        try files.requireInPlace()
    }

    /// Opens LMDB anew while no transaction of this process is open, unless another thread has done it meanwhile.
    /// Tables keep their handles.
    ///
    /// - Parameter old: LMDB's handle when the need was found.
    /// - Throws: as `init`; `.mapResized` when a transaction of this process does not end in time. The next transaction
    ///   tries again.
    func reopen(insteadOf old: OpaquePointer?) throws(LMDBError) {
        try gate.whileEmpty { () throws(LMDBError) in
            guard unsafe opened?.handle == old else { return }
            try files.requireInPlace()
            var options = options
            if let opened { options.mapSize = opened.map.byteCount }
            opened?.close()
            opened = nil
            let next = try StandardDescriptors.taken { () throws(LMDBError) in
                try FileLimit.isError { () throws(LMDBError) in
                    try Opened(folder, options, isApart: isApart.load(ordering: .relaxed))
                }
            }
            do throws(LMDBError) {
                try coverMissingEnd(of: next)
                try unsafe Self.openAgain(tables.withLock { $0 }, next.handle)
            } catch {
                next.close()
                throw error
            }
            opened = next
        }
    }

    /// Opens LMDB anew, so that it loses the memory of pages that it has written: what was in them can get into the
    /// unused part of another page.
    package func forgetWrittenPages() throws(LMDBError) {
        try requireOwnProcess()
        try unsafe reopen(insteadOf: opened?.handle)
    }

    /// Opens the tables in the order in which they were opened first, which gives them the handles that they had.
    private static func openAgain(_ tables: [Table], _ handle: OpaquePointer) throws(LMDBError) {
        var transaction: OpaquePointer?
        try check(unsafe mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &transaction), call: "mdb_txn_begin")
        guard let transaction = unsafe transaction else { throw .code(MDB_PANIC, call: "mdb_txn_begin") }
        do throws(LMDBError) {
            guard try unsafe open(tables.map(\.name), transaction, flags: 0) == tables else {
                throw .code(MDB_PANIC, call: "mdb_dbi_open")
            }
        } catch {
            unsafe mdb_txn_abort(transaction)
            throw error
        }
        try check(unsafe mdb_txn_commit(transaction), call: "mdb_txn_commit")
    }
}
