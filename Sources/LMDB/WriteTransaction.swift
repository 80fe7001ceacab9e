// The one writer at a time, all processes together.

import CLMDB

/// A write transaction: it sees its own changes, others see them when it has committed. Aborted by its `deinit` unless
/// `commit` consumed it. Bound to its thread, hence only lent to closures.
///
/// After an error from any change the transaction can only be aborted; committing it then fails with `MDB_BAD_TXN`.
@safe
package struct WriteTransaction: ~Copyable, Transaction {
    package let core: TransactionCore

    init(_ core: TransactionCore) { self.core = core }

    deinit { unsafe mdb_txn_abort(core.handle) }

    /// Makes the changes durable: returns after the data and then the meta page were synced.
    consuming func commit() throws(LMDBError) {
        let handle = unsafe core.handle
        discard self  // LMDB frees the handle even when the commit fails, so `deinit` must not run
        try check(unsafe mdb_txn_commit(handle), call: "mdb_txn_commit")
    }
}

extension WriteTransaction {
    /// Stores a value under a key, in place of one that was there.
    ///
    /// - Throws: `.keySize`, or a `.code` for which `isFull` tells that there was no room.
    package mutating func put(_ table: Table, key: RawSpan, value: RawSpan) throws(LMDBError) {
        try check(store(table, key, value, flags: 0), call: "mdb_put")
    }

    /// Stores a value under a key that is not there yet, and answers whether it was new; an old value stays as it was.
    package mutating func putIfAbsent(_ table: Table, key: RawSpan, value: RawSpan) throws(LMDBError) -> Bool {
        let status = try store(table, key, value, flags: UInt32(MDB_NOOVERWRITE))
        guard status != MDB_KEYEXIST else { return false }
        try check(status, call: "mdb_put")
        return true
    }

    /// Stores a value of a known size that `fill` writes straight into LMDB's page.
    ///
    /// The room is zeroed first, so that nothing of the heap can reach the disk; `fill` should still write it to the last
    /// byte. When `fill` throws, the key holds a half-written value: let the error out, so that the transaction aborts.
    package mutating func reserve<E: LMDBErrorConvertible>(
        _ table: Table, key: RawSpan, byteCount: Int, fill: (inout MutableRawSpan) throws(E) -> Void
    ) throws(E) {
        precondition(byteCount >= 0, "a value has no negative size")
        var value = unsafe MDB_val(mv_size: byteCount, mv_data: nil)
        do throws(LMDBError) {
            try requireKeySize(key)
            let handle = unsafe core.handle
            let status = unsafe key.withUnsafeBytes { bytes in
                var key = unsafe MDB_val(reading: bytes)
                return unsafe mdb_put(handle, table.handle, &key, &value, UInt32(MDB_RESERVE))
            }
            try check(status, call: "mdb_put")
        } catch {
            throw E(error)
        }
        let room = unsafe UnsafeMutableRawBufferPointer(start: value.mv_data, count: byteCount)
        unsafe room.initializeMemory(as: UInt8.self, repeating: 0)
        var span = unsafe MutableRawSpan(_unsafeBytes: room)
        try fill(&span)
    }

    /// Deletes a key, and answers whether it was there.
    package mutating func delete(_ table: Table, key: RawSpan) throws(LMDBError) -> Bool {
        try requireKeySize(key)
        let handle = unsafe core.handle
        let status = unsafe key.withUnsafeBytes { bytes in
            var key = unsafe MDB_val(reading: bytes)
            return unsafe mdb_del(handle, table.handle, &key, nil)
        }
        guard status != MDB_NOTFOUND else { return false }
        try check(status, call: "mdb_del")
        return true
    }

    /// Deletes every key of a table; the table stays.
    package mutating func clear(_ table: Table) throws(LMDBError) {
        try check(unsafe mdb_drop(core.handle, table.handle, 0), call: "mdb_drop")
    }

    /// A cursor that can also delete; nothing else can use the transaction while it lives.
    @_lifetime(&self)
    package mutating func deletingCursor(_ table: Table) throws(LMDBError) -> Cursor<Deleting> {
        let handle = try unsafe core.openCursor(table)
        let cursor = unsafe Cursor<Deleting>(handle: handle, core: core)
        return unsafe _overrideLifetime(cursor, mutating: &self)
    }

    private func store(_ table: Table, _ key: RawSpan, _ value: RawSpan, flags: UInt32) throws(LMDBError) -> Int32 {
        try requireKeySize(key)
        let handle = unsafe core.handle
        return unsafe key.withUnsafeBytes { keyBytes in
            unsafe value.withUnsafeBytes { valueBytes in
                var key = unsafe MDB_val(reading: keyBytes)
                var value = unsafe MDB_val(reading: valueBytes)
                return unsafe mdb_put(handle, table.handle, &key, &value, flags)
            }
        }
    }
}
