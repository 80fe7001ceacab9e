// Pages of a tree that are written anew although nothing changes.

extension WriteTransaction {
    /// Has LMDB write the pages on the way to a key anew, in other pages of the file. What is stored stays as it is.
    ///
    /// - Parameter key: one of the table.
    /// - Throws: `.keySize`, `.damaged`, or a `.code` whose `isFull` is true when there was no room.
    package mutating func touch(_ table: Table, key: [UInt8]) throws(LMDBError) {
        // LMDB has no call for it. A key right behind this one that comes and goes changes the same pages.
        let beside = key + [0]
        guard LMDBLimits.keyBytes.contains(beside.count) else { return try putAgain(table, key) }
        guard try unsafe !contains(table, key: beside.span.bytes) else { return try putAgain(table, key) }
        unsafe try key.span.bytes.withUnsafeBytes { (bytes) throws(LMDBError) in
            unsafe try core.writeGuard?.touch(table, bytes)
        }
        let nothing: [UInt8] = []
        try unsafe put(table, key: beside.span.bytes, value: nothing.span.bytes)
        _ = try unsafe delete(table, key: beside.span.bytes)
    }

    /// Stores a key's value once more, which may be large.
    private mutating func putAgain(_ table: Table, _ key: [UInt8]) throws(LMDBError) {
        guard let value = try copy(of: key, table) else { return }
        try unsafe put(table, key: key.span.bytes, value: value.span.bytes)
    }

    private borrowing func copy(of key: [UInt8], _ table: Table) throws(LMDBError) -> [UInt8]? {
        guard let value = try unsafe get(table, key: key.span.bytes) else { return nil }
        return unsafe value.withUnsafeBytes { unsafe Array($0) }
    }
}
