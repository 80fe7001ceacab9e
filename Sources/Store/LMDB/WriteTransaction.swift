// Write transactions, of which only one runs at a time in all processes together.

import CLMDB
import Glibc

/// A write transaction. It sees its own changes; others see them after it has committed. Its `deinit` aborts it unless
/// `commit` has consumed it. It is bound to its thread, so it is only lent to closures.
///
/// After an error from any change the transaction can only be aborted; committing it then fails with `MDB_BAD_TXN`.
@safe
package struct WriteTransaction: ~Copyable, Transaction {
    package let core: TransactionCore
    /// LMDB frees its handle with a commit, even when the commit fails.
    private var isOver = false

    init(_ core: TransactionCore) { self.core = core }

    deinit { if !isOver { unsafe mdb_txn_abort(core.handle) } }

    /// Makes the changes durable: returns after the data and then the meta page have been synced.
    consuming func commit() throws(LMDBError) {
        let (handle, descriptor) = unsafe (core.handle, core.descriptor)
        isOver = true
        let status = unsafe mdb_txn_commit(handle)
        // LMDB reports a write that came back short as EIO, as it does a disk that fails.
        if status == EIO, isDiskFull(descriptor) { throw .code(ENOSPC, call: "mdb_txn_commit") }
        try check(status, call: "mdb_txn_commit")
    }
}

extension WriteTransaction {
    /// Stores a value under a key, and replaces an existing one.
    /// - Throws: `.keySize`, or a `.code` whose `isFull` is true when there was no room.
    package mutating func put(_ table: Table, key: RawSpan, value: RawSpan) throws(LMDBError) {
        try requireKeySize(key)
        let handle = unsafe core.handle
        unsafe try prepare(table, key, WriteGuard.put)
        let status = unsafe key.withUnsafeBytes { keyBytes in
            unsafe value.withUnsafeBytes { valueBytes in
                var key = unsafe MDB_val(reading: keyBytes)
                var value = unsafe MDB_val(reading: valueBytes)
                return unsafe mdb_put(handle, table.handle, &key, &value, 0)
            }
        }
        try check(status, call: "mdb_put")
    }

    /// Stores a value with zeros behind it, `byteCount` bytes in all: copied once, straight into LMDB's page. The value
    /// must be so large that LMDB gives it a run of pages of its own.
    ///
    /// - Parameter limit: the run must lie within the first so many bytes of the file. LMDB takes the first free run
    ///   that is long enough, and makes the file longer only when there is none.
    /// - Throws: as `put`; `.pastBound` when the run ends behind `limit`. The transaction must then be aborted, or the
    ///   file becomes longer.
    package mutating func put(
        _ table: Table, key: RawSpan, value: RawSpan, paddedTo byteCount: Int, within limit: Int = .max
    ) throws(LMDBError) {
        precondition(byteCount >= value.byteCount, "a value is cut by its padding")
        try requireKeySize(key)
        unsafe try prepare(table, key, WriteGuard.put)
        var room = unsafe MDB_val(mv_size: byteCount, mv_data: nil)
        let handle = unsafe core.handle
        let status = unsafe key.withUnsafeBytes { bytes in
            var key = unsafe MDB_val(reading: bytes)
            return unsafe mdb_put(handle, table.handle, &key, &room, UInt32(MDB_RESERVE))
        }
        try check(status, call: "mdb_put")
        if limit != .max, let start = unsafe room.mv_data {
            let end = unsafe Self.end(ofRunWith: start, byteCount: byteCount, pageSize: core.pageSize)
            guard end <= limit else { throw .pastBound }
        }
        let target = unsafe UnsafeMutableRawBufferPointer(start: room.mv_data, count: byteCount)
        unsafe value.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
        // No old bytes of the heap may reach the disk.
        let rest = unsafe UnsafeMutableRawBufferPointer(rebasing: target[value.byteCount...])
        unsafe rest.initializeMemory(as: UInt8.self, repeating: 0)
    }

    /// Deletes a key, and returns whether it was there.
    package mutating func delete(_ table: Table, key: RawSpan) throws(LMDBError) -> Bool {
        try requireKeySize(key)
        let handle = unsafe core.handle
        unsafe try prepare(table, key, WriteGuard.delete)
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
        try core.writeGuard?.clear(table)
        try check(unsafe mdb_drop(core.handle, table.handle, 0), call: "mdb_drop")
    }

    /// Has the pages checked that LMDB walks to change a key.
    private func prepare(
        _ table: Table, _ key: RawSpan,
        _ check: (WriteGuard) -> (Table, UnsafeRawBufferPointer) throws(LMDBError) -> Void
    ) throws(LMDBError) {
        guard let writeGuard = core.writeGuard else { return }
        unsafe try key.withUnsafeBytes { (bytes) throws(LMDBError) in unsafe try check(writeGuard)(table, bytes) }
    }
}

extension WriteTransaction {
    /// Bytes of the header of LMDB's pages, before the value in a run: number, flags, and how many pages follow.
    private static let headerBytes = 16

    /// Bytes of the file up to the end of the run that holds a value.
    private static func end(ofRunWith value: UnsafeMutableRawPointer, byteCount: Int, pageSize: Int) -> Int {
        // LMDB has no call for it. The header is part of its file format.
        let number = unsafe value.loadUnaligned(fromByteOffset: -headerBytes, as: Int.self)
        return number * pageSize + headerBytes + byteCount
    }
}
