// Walking a table in key order.

import CLMDB

/// A place in a table. Keys are ordered as unsigned bytes; a key comes before longer keys that begin with it.
///
/// A cursor cannot outlive its transaction. Every move returns whether it found an entry. If it found none, the cursor
/// is on no entry, and `key` and `value` must not be read.
@safe
package struct Cursor: ~Copyable, ~Escapable {
    private let handle: OpaquePointer
    private let core: TransactionCore
    private var entry: (key: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer)?

    @_lifetime(immortal)
    init(handle: OpaquePointer, core: TransactionCore) {
        unsafe self.handle = handle
        self.core = core
        unsafe self.entry = nil
    }

    deinit { unsafe mdb_cursor_close(handle) }

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
        var found = unsafe MDB_val()
        var value = unsafe MDB_val()
        let handle = unsafe handle
        let status = unsafe key.withUnsafeBytes { bytes in
            unsafe found = unsafe MDB_val(reading: bytes)
            return unsafe mdb_cursor_get(handle, &found, &value, MDB_SET_RANGE)
        }
        return try unsafe arrive(status, found, value)
    }

    /// Moves to the first entry.
    package mutating func first() throws(LMDBError) -> Bool { try move(MDB_FIRST) }

    /// Moves to the last entry.
    package mutating func last() throws(LMDBError) -> Bool { try move(MDB_LAST) }

    /// Moves to the next entry, or to the first if the cursor is on no entry.
    package mutating func next() throws(LMDBError) -> Bool { try move(MDB_NEXT) }

    /// Moves to the previous entry, or to the last if the cursor is on no entry.
    package mutating func previous() throws(LMDBError) -> Bool { try move(MDB_PREV) }

    private mutating func move(_ operation: MDB_cursor_op) throws(LMDBError) -> Bool {
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        let status = unsafe mdb_cursor_get(handle, &key, &value, operation)
        return try unsafe arrive(status, key, value)
    }

    private mutating func arrive(_ status: Int32, _ key: MDB_val, _ value: MDB_val) throws(LMDBError) -> Bool {
        unsafe entry = nil
        guard status != MDB_NOTFOUND else { return false }
        try check(status, call: "mdb_cursor_get")
        let keyBytes = try unsafe core.bounded(key)
        guard LMDBLimits.keyBytes.contains(keyBytes.count) else { throw .damaged("a key has an impossible size") }
        unsafe entry = (keyBytes, try unsafe core.bounded(value))
        return true
    }
}
