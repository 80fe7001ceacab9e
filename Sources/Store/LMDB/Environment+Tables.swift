// Opening tables by name.

import CLMDB
import Threads

extension Environment {
    /// Opens tables, in the order of their names; those that are missing are created when access is `.readWrite`.
    ///
    /// Call it after opening and before other threads use the environment: LMDB allows only one transaction at a time
    /// to open tables. One read transaction, and one write transaction (synced) if a table is missing.
    ///
    /// - Throws: `.tableMissing` when access is `.readOnly` and a table is not there; a `.code` whose `isDamage` is
    ///   true when the name belongs to something else.
    package func openTables(_ names: [String]) throws(LMDBError) -> [Table] {
        do throws(LMDBError) {
            return try openExistingTables(names)
        } catch .tableMissing where access == .readWrite {
            return remember(
                try write { (transaction) throws(LMDBError) in
                    try unsafe Self.open(names, transaction.core.handle, flags: UInt32(MDB_CREATE))
                })
        } catch {
            throw error
        }
    }

    /// Opens tables that are there, in one read transaction: nothing is changed, whatever the access.
    ///
    /// When to call it, and what it throws, is as for `openTables`; `.tableMissing` whatever the access.
    package func openExistingTables(_ names: [String]) throws(LMDBError) -> [Table] {
        do throws(LMDBError) {
            return try openInSnapshot(names)
        } catch {
            if case .tableMissing = error { try requireWholeList() }
            throw error
        }
    }

    /// Throws `.damaged` when LMDB's list of tables has not as many as LMDB has counted: one that is missing may well
    /// have been there.
    private func requireWholeList() throws(LMDBError) {
        try read { (transaction) throws(LMDBError) in
            var list = try transaction.cursor(.list)
            var count = 0
            while try list.next() { count += 1 }
            guard try count == transaction.entryCount(.list) else { throw .damaged("tables are lost") }
        }
    }

    private func openInSnapshot(_ names: [String]) throws(LMDBError) -> [Table] {
        let core = try begin(isWriting: false)
        defer { gate.leave() }
        let tables: [Table]
        do throws(LMDBError) {
            tables = try unsafe Self.open(names, core.handle, flags: 0)
        } catch {
            core.abort()
            throw error
        }
        // A read transaction commits too: that is how LMDB keeps the handles.
        try check(unsafe mdb_txn_commit(core.handle), call: "mdb_txn_commit")
        return remember(tables)
    }

    /// Opens tables in a transaction; their handles last if it commits.
    static func open(_ names: [String], _ transaction: OpaquePointer, flags: UInt32) throws(LMDBError) -> [Table] {
        var tables: [Table] = []
        for name in names {
            var handle: MDB_dbi = 0
            let status = unsafe mdb_dbi_open(transaction, name, flags, &handle)
            guard status != MDB_NOTFOUND else { throw .tableMissing(name: name) }
            try check(status, call: "mdb_dbi_open")
            tables.append(Table(name: name, handle: handle))
        }
        return tables
    }

    private func remember(_ opened: [Table]) -> [Table] {
        tables.withLock { known in known += opened.filter { !known.contains($0) } }
        snapshots.add(opened)
        return opened
    }
}
