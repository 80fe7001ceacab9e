// Walking a table in key order.

import CLMDB

/// A place in a table. Keys are ordered as unsigned bytes; a key comes before longer keys that begin with it.
///
/// A cursor cannot outlive its transaction. Every move returns whether it found an entry. If it found none, the cursor
/// is on no entry, and `key` and `value` must not be read.
@safe
package struct Cursor: ~Copyable, ~Escapable {
    private var walk: Walk
    private let core: TransactionCore
    private let table: Table
    private var entry: (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)?

    /// What moves: the tree of the snapshot is read here, the one that is being changed by LMDB.
    @safe
    private enum Walk {
        case snapshot(TreeCursor)
        case written(OpaquePointer, WriteGuard)
    }

    @_lifetime(immortal)
    init(_ table: Table, _ core: TransactionCore) throws(LMDBError) {
        self.core = core
        self.table = table
        unsafe entry = nil
        if let writeGuard = core.writeGuard {
            unsafe walk = .written(try core.openCursor(table), writeGuard)
        } else {
            walk = .snapshot(TreeCursor(core.pages, try core.snapshot.tree(table)))
        }
    }

    deinit { if case .written(let handle, _) = walk { unsafe mdb_cursor_close(handle) } }

    /// Whether the cursor is on an entry.
    package var isOnEntry: Bool { unsafe entry != nil }

    /// The key of the entry the cursor is on.
    package var key: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            guard let entry = unsafe entry else { preconditionFailure("the cursor is on no entry") }
            let span = unsafe RawSpan(_unsafeBytes: entry.key)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The value of the entry the cursor is on.
    package var value: RawSpan {
        @_lifetime(borrow self)
        borrowing get {
            guard let entry = unsafe entry else { preconditionFailure("the cursor is on no entry") }
            let span = unsafe RawSpan(_unsafeBytes: entry.value)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Moves to the first entry whose key is not less than `key`.
    package mutating func seek(_ key: RawSpan) throws(LMDBError) -> Bool {
        try requireKeySize(key)
        unsafe entry = nil
        return unsafe try key.withUnsafeBytes { (bytes) throws(LMDBError) in
            switch walk {
            case .snapshot(var cursor):
                unsafe try cursor.seek(bytes)
                return try arrive(cursor)
            case .written(let handle, let writeGuard):
                unsafe try writeGuard.step(table, from: bytes)
                return unsafe try ask(handle, MDB_val(reading: bytes), MDB_SET_RANGE)
            }
        }
    }

    /// Moves to the first entry.
    package mutating func first() throws(LMDBError) -> Bool {
        try move(MDB_FIRST) { (cursor) throws(LMDBError) in try cursor.first() }
    }

    /// Moves to the last entry.
    package mutating func last() throws(LMDBError) -> Bool {
        try move(MDB_LAST) { (cursor) throws(LMDBError) in try cursor.last() }
    }

    /// Moves to the next entry, or to the first if the cursor is on no entry.
    package mutating func next() throws(LMDBError) -> Bool {
        try move(MDB_NEXT) { (cursor) throws(LMDBError) in try cursor.next() }
    }

    /// Moves to the previous entry, or to the last if the cursor is on no entry.
    package mutating func previous() throws(LMDBError) -> Bool {
        try move(MDB_PREV) { (cursor) throws(LMDBError) in try cursor.previous() }
    }

    private mutating func move(
        _ operation: MDB_cursor_op, _ step: (inout TreeCursor) throws(LMDBError) -> Void
    ) throws(LMDBError) -> Bool {
        switch walk {
        case .snapshot(var cursor):
            unsafe entry = nil
            try step(&cursor)
            return try arrive(cursor)
        case .written(let handle, let writeGuard):
            let isRelative = operation == MDB_NEXT || operation == MDB_PREV
            unsafe try writeGuard.step(table, from: isRelative ? entry?.key : nil)
            return unsafe try ask(handle, MDB_val(), operation)
        }
    }

    private mutating func arrive(_ cursor: TreeCursor) throws(LMDBError) -> Bool {
        walk = .snapshot(cursor)
        guard let found = unsafe try cursor.entry() else { return false }
        return unsafe try set(found.key, found.value)
    }

    /// Has LMDB move, in the tree that the transaction is changing.
    private mutating func ask(
        _ handle: OpaquePointer, _ key: MDB_val, _ operation: MDB_cursor_op
    ) throws(LMDBError) -> Bool {
        var (key, value) = unsafe (key, MDB_val())
        let status = unsafe mdb_cursor_get(handle, &key, &value, operation)
        unsafe entry = nil
        guard status != MDB_NOTFOUND else { return false }
        try check(status, call: "mdb_cursor_get")
        return unsafe try set(try core.bounded(key), try core.bounded(value))
    }

    private mutating func set(
        _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) throws(LMDBError) -> Bool {
        guard LMDBLimits.keyBytes.contains(key.count) else { throw .damaged("a key has an impossible size") }
        unsafe entry = (key, value)
        return true
    }
}
