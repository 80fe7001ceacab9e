// Reading and writing whole records in a transaction.

package import KVFormat
package import LMDB

/// What a look-up found.
package enum Stored<Record> {
    /// Nothing has this key.
    case missing
    /// A value has this key, but it cannot be trusted.
    case damaged
    /// A record whose checksum and fields are right.
    case sound(Record)

    /// The record, or nil.
    package var record: Record? { if case .sound(let record) = self { record } else { nil } }
}

extension Transaction where Self: ~Copyable {
    /// A page's node without its token ids, if it is sound and has not expired.
    borrowing func servedNode(_ hash: PrefixHash, _ tables: Tables, at now: Int64) throws(LMDBError) -> NodeRecord? {
        guard let node = try read(tables.nodes, hash, { NodeRecord(fields: $0, key: hash) }).record else { return nil }
        guard node.flags.contains(.expires) else { return node }
        return try recency(hash, tables).record?.isExpired(at: now) == true ? nil : node
    }

    /// Whether a page and all pages before it may be served at `now`.
    borrowing func isServed(pathTo hash: PrefixHash, _ tables: Tables, at now: Int64) throws(LMDBError) -> Bool {
        var next = hash
        // Positions decrease from child to parent, so a path ends even when damage has made a cycle.
        var end = UInt32.max
        while let node = try servedNode(next, tables, at: now), node.firstToken < end {
            if node.parent == node.root { return true }
            (next, end) = (node.parent, node.firstToken)
        }
        return false
    }

    /// Lends the value under `key` to `decode`, which returns nil for damage.
    package borrowing func read<Record>(
        _ table: Table, _ key: [UInt8], _ decode: (RawSpan) -> Record?
    ) throws(LMDBError) -> Stored<Record> {
        guard let bytes = try unsafe get(table, key: key.span.bytes) else { return .missing }
        guard let record = decode(bytes) else { return .damaged }
        return .sound(record)
    }

    /// As `read`, for the key of a page or space. Allocates nothing.
    package borrowing func read<Record>(
        _ table: Table, _ hash: PrefixHash, _ decode: (RawSpan) -> Record?
    ) throws(LMDBError) -> Stored<Record> {
        let key = hash.inlineBytes
        guard let bytes = try unsafe get(table, key: key.span.bytes) else { return .missing }
        guard let record = decode(bytes) else { return .damaged }
        return .sound(record)
    }

    /// The node of a page.
    package borrowing func node(_ hash: PrefixHash, _ tables: Tables) throws(LMDBError) -> Stored<NodeRecord> {
        try read(tables.nodes, hash) { NodeRecord($0, key: hash) }
    }

    /// How much a page is used.
    package borrowing func recency(_ hash: PrefixHash, _ tables: Tables) throws(LMDBError) -> Stored<RecencyRecord> {
        try read(tables.recency, hash) { RecencyRecord($0, key: hash) }
    }

    /// A space.
    package borrowing func space(_ root: PrefixHash, _ tables: Tables) throws(LMDBError) -> Stored<SpaceRecord> {
        try read(tables.spaces, root) { SpaceRecord($0, root: root) }
    }

    /// Whether something has the key.
    package borrowing func has(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> Bool {
        try unsafe contains(table, key: key.span.bytes)
    }

    /// Bytes of the value under `key`; nil when there is none.
    package borrowing func valueBytes(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> Int? {
        try unsafe get(table, key: key.span.bytes)?.byteCount
    }

    /// The prefix hashes of a page's children, in the order of their token ids.
    package borrowing func children(of hash: PrefixHash, _ tables: Tables) throws(LMDBError) -> [PrefixHash] {
        let prefix = hash.bytes
        let keys = try keys(tables.edges, from: prefix, limit: .max) { $0.starts(with: prefix) }
        return keys.compactMap { key in unsafe EdgeKey(key.span.bytes)?.child }
    }

    /// The last key of a table that begins with `byte`; nil when there is none.
    borrowing func lastKey(_ table: Table, beginningWith byte: UInt8) throws(LMDBError) -> [UInt8]? {
        var cursor = try cursor(table)
        // After a seek beyond the last key the cursor is on no entry, and `previous` then moves to the last key.
        _ = try unsafe cursor.seek([byte + 1].span.bytes)
        guard try cursor.previous(), cursor.key.starts(with: [byte]) else { return nil }
        return cursor.key.copy(from: 0)
    }

    /// Up to `limit` keys from `start` on, as long as `isWanted` returns true.
    package borrowing func keys(
        _ table: Table, from start: [UInt8], limit: Int, while isWanted: (RawSpan) -> Bool
    ) throws(LMDBError) -> [[UInt8]] {
        var found: [[UInt8]] = []
        var cursor = try cursor(table)
        var isThere = try unsafe cursor.seek(start.span.bytes)
        while isThere, found.count < limit, isWanted(cursor.key) {
            found.append(cursor.key.copy(from: 0))
            isThere = try cursor.next()
        }
        return found
    }
}

extension WriteTransaction {
    /// Stores a record.
    package mutating func write(_ table: Table, _ key: [UInt8], _ value: [UInt8]) throws(LMDBError) {
        try unsafe put(table, key: key.span.bytes, value: value.span.bytes)
    }

    /// Deletes a record; returns whether it was there.
    @discardableResult
    package mutating func erase(_ table: Table, _ key: [UInt8]) throws(LMDBError) -> Bool {
        try unsafe delete(table, key: key.span.bytes)
    }

    /// Stores `record`, padded with zeros to its slot, within the first `limit` bytes of the file.
    /// - Throws: `.pastBound` when there is no room for it: the transaction must be aborted.
    package mutating func writeSlot(
        _ table: Table, _ key: [UInt8], _ record: RawSpan, within limit: Int = .max
    ) throws(LMDBError) {
        let size = SlotSize.valueBytes(holding: record.byteCount)
        try unsafe put(table, key: key.span.bytes, value: record, paddedTo: size, within: limit)
    }
}

extension RawSpan {
    /// Whether the bytes begin with `prefix`.
    func starts(with prefix: [UInt8]) -> Bool {
        guard byteCount >= prefix.count else { return false }
        for index in prefix.indices where integer(at: index, as: UInt8.self) != prefix[index] { return false }
        return true
    }
}
