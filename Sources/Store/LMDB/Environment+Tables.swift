// Opening tables by name.

import CLMDB

extension Environment {
    /// Opens tables, in the order of their names; those that are missing are created when access is `.readWrite`.
    ///
    /// Call it after opening and before other threads use the environment: LMDB allows only one transaction at a time
    /// to open tables. One write transaction (synced), or one read transaction.
    ///
    /// - Throws: `.tableMissing` when access is `.readOnly` and a table is not there; a `.code` whose `isDamage` is
    ///   true when the name belongs to something else.
    package func openTables(_ names: [String]) throws(LMDBError) -> [Table] {
        try openTables(names, isWriting: access == .readWrite)
    }

    /// Opens tables that are there, in one read transaction: nothing is changed, whatever the access.
    ///
    /// When to call it, and what it throws, is as for `openTables`; `.tableMissing` whatever the access.
    package func openExistingTables(_ names: [String]) throws(LMDBError) -> [Table] {
        try openTables(names, isWriting: false)
    }

    private func openTables(_ names: [String], isWriting: Bool) throws(LMDBError) -> [Table] {
        let core = try begin(flags: isWriting ? 0 : UInt32(MDB_RDONLY))
        defer { gate.leave() }
        var tables: [Table] = []
        do throws(LMDBError) {
            for name in names {
                tables.append(try unsafe Self.openTable(name, core.handle, flags: isWriting ? UInt32(MDB_CREATE) : 0))
            }
        } catch {
            unsafe mdb_txn_abort(core.handle)
            throw error
        }
        // A read transaction commits too: that is how LMDB keeps the handles.
        try check(unsafe mdb_txn_commit(core.handle), call: "mdb_txn_commit")
        snapshots.add(tables)
        return tables
    }

    private static func openTable(_ name: String, _ transaction: OpaquePointer, flags: UInt32) throws(LMDBError)
        -> Table
    {
        var handle: MDB_dbi = 0
        let status = unsafe mdb_dbi_open(transaction, name, flags, &handle)
        guard status != MDB_NOTFOUND else { throw .tableMissing(name: name) }
        try check(status, call: "mdb_dbi_open")
        return Table(name: name, handle: handle)
    }
}
