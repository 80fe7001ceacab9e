// What both kinds of transaction can do: look up and count. Spans point into LMDB's map and cannot outlive the
// transaction.

import CLMDB
import Glibc

/// A table of an environment that is open.
package struct Table: Sendable, Equatable {
    /// Its name.
    package let name: String
    let handle: MDB_dbi

    /// LMDB's own list of free pages: readable in read transactions only.
    static let freeList = Table(name: "free list", handle: 0)
    /// LMDB's own list of tables.
    static let list = Table(name: "tables", handle: 1)
}

/// A read or write transaction.
package protocol Transaction: ~Copyable {
    /// LMDB's handle of the transaction; opaque outside this module.
    var core: TransactionCore { get }
}

extension Transaction where Self: ~Copyable {
    /// The value under a key, or `nil`. The bytes are not copied: they lie in the map, or in a page this transaction
    /// wrote.
    ///
    /// - Throws: `.keySize`, `.damaged` when the file gives the value an impossible place or size, or a `.code`.
    /// - Complexity: one descent of the tree.
    @_lifetime(borrow self)
    package borrowing func get(_ table: Table, key: RawSpan) throws(LMDBError) -> RawSpan? {
        guard let bytes = try unsafe core.find(table, key) else { return nil }
        let span = unsafe RawSpan(_unsafeBytes: bytes)
        return unsafe _overrideLifetime(span, borrowing: self)
    }

    /// Whether a table has a key.
    package borrowing func contains(_ table: Table, key: RawSpan) throws(LMDBError) -> Bool {
        try core.contains(table, key)
    }

    /// How many keys a table has.
    package borrowing func entryCount(_ table: Table) throws(LMDBError) -> Int {
        guard core.isWriting else { return try core.snapshot.tree(table).entries }
        var stat = MDB_stat()
        try check(unsafe mdb_stat(core.handle, table.handle, &stat), call: "mdb_stat")
        return stat.ms_entries
    }

    /// A cursor that reads a table in key order, and is on no entry at first. The transaction cannot be changed while
    /// it exists.
    @_lifetime(borrow self)
    package borrowing func cursor(_ table: Table) throws(LMDBError) -> Cursor {
        let cursor = try Cursor(table, core)
        return unsafe _overrideLifetime(cursor, borrowing: self)
    }
}

/// A transaction's C handle, and the bounds its values must keep.
@safe
package struct TransactionCore {
    let handle: OpaquePointer
    let map: MapRegion
    /// Bytes of the map in which values can lie: those that the file really has.
    let limit: Int
    /// The data file. Its size is read again when a writer meets a value beyond `limit`.
    let descriptor: Int32
    let pageSize: Int
    /// The pages of the last commit, and the trees in them.
    let pages: PageMap
    let snapshot: Snapshot
    /// What checks pages before LMDB walks them; nil in a read transaction, in which LMDB walks none.
    let writeGuard: WriteGuard?

    /// Whether values can lie in memory that this transaction wrote, outside the map.
    var isWriting: Bool { writeGuard != nil }

    /// Ends the transaction; nothing of it stays.
    func abort() { unsafe mdb_txn_abort(handle) }

    func find(_ table: Table, _ key: RawSpan) throws(LMDBError) -> UnsafeRawBufferPointer? {
        try requireKeySize(key)
        let tree = try snapshot.tree(table)
        return unsafe try key.withUnsafeBytes { (bytes) throws(LMDBError) in
            guard let writeGuard else { return unsafe try pages.value(under: bytes, in: tree) }
            unsafe try writeGuard.look(table, bytes)
            return unsafe try written(table, bytes)
        }
    }

    func contains(_ table: Table, _ key: RawSpan) throws(LMDBError) -> Bool {
        guard !isWriting else { return unsafe try find(table, key) != nil }
        try requireKeySize(key)
        let tree = try snapshot.tree(table)
        return unsafe try key.withUnsafeBytes { (bytes) throws(LMDBError) in
            unsafe try pages.find(bytes, in: tree) != nil
        }
    }

    /// What LMDB finds, in the pages that this transaction has changed too.
    private func written(
        _ table: Table, _ bytes: UnsafeRawBufferPointer
    ) throws(LMDBError) -> UnsafeRawBufferPointer? {
        var key = unsafe MDB_val(reading: bytes)
        var value = unsafe MDB_val()
        let status = unsafe mdb_get(handle, table.handle, &key, &value)
        guard status != MDB_NOTFOUND else { return nil }
        try check(status, call: "mdb_get")
        return try unsafe bounded(value)
    }

    func openCursor(_ table: Table) throws(LMDBError) -> OpaquePointer {
        var cursor: OpaquePointer?
        try check(unsafe mdb_cursor_open(handle, table.handle, &cursor), call: "mdb_cursor_open")
        guard let cursor = unsafe cursor else { throw .code(MDB_PANIC, call: "mdb_cursor_open") }
        return unsafe cursor
    }

    /// The bytes of a value that LMDB returned, after checking that they lie where values can lie.
    func bounded(_ value: MDB_val) throws(LMDBError) -> UnsafeRawBufferPointer {
        let count = unsafe value.mv_size
        guard count >= 0 else { throw .damaged("a value has an impossible size") }
        let bytes = unsafe UnsafeRawBufferPointer(start: value.mv_data, count: count)
        if unsafe map.contains(bytes, limit: limit) { return unsafe bytes }
        guard isWriting, let start = bytes.baseAddress, unsafe isWritten(start, count) else {
            throw .damaged("a value reaches outside the file")
        }
        return unsafe bytes
    }

    /// Whether a value lies in what this transaction wrote: in the part of the file that LMDB has added since, or in a
    /// page that is still in memory. For a value no larger than a page, the address from LMDB is trusted.
    private func isWritten(_ start: UnsafeRawPointer, _ count: Int) -> Bool {
        if unsafe map.contains(start) {
            let bytes = unsafe UnsafeRawBufferPointer(start: start, count: count)
            let grown = min(map.byteCount, fileSize(descriptor) ?? limit)
            return unsafe map.contains(bytes, limit: grown)
        }
        return unsafe count <= pageSize || isOverflowRun(before: start, holding: count)
    }

    /// Whether the bytes before a large value are the header of a run of written LMDB pages that can hold it. A page in
    /// memory has at least a header before every value, so that these bytes can always be read.
    private func isOverflowRun(before start: UnsafeRawPointer, holding count: Int) -> Bool {
        let header = unsafe PageHeader(start - PageMap.header)
        let mapPages = map.byteCount / pageSize
        return header.flags == PageHeader.writtenOverflow && header.number < UInt64(mapPages)
            && header.pages <= mapPages && count + PageMap.header <= Int(header.pages) * pageSize
    }
}

/// The size of an open file in bytes; `nil`, with `errno` set, when the system refuses.
func fileSize(_ descriptor: Int32) -> Int? {
    var status = stat()
    return unsafe fstat(descriptor, &status) == 0 ? Int(status.st_size) : nil
}

/// Throws `.keySize` for a key that LMDB cannot store.
func requireKeySize(_ key: RawSpan) throws(LMDBError) {
    guard LMDBLimits.keyBytes.contains(key.byteCount) else { throw .keySize(key.byteCount) }
}

extension MDB_val {
    /// Bytes for LMDB to read; it never writes through them.
    init(reading bytes: UnsafeRawBufferPointer) {
        unsafe self.init(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
    }
}
