// Walking a whole table without holding a snapshot long: as long as one lives, LMDB cannot use freed pages again, and
// the file of a busy store grows.

internal import KVFormat
internal import LMDB

/// What a walk does after an entry.
enum WalkStep {
    /// Goes on.
    case next
    /// Ends the read transaction and goes on in a new one.
    case renew
    /// Ends.
    case stop
}

extension ColdTier {
    /// Entries that one read transaction of a walk sees: some milliseconds.
    static let walkLength = 1000

    /// Lends the entries of a table in key order, with the transaction that sees them. A new transaction is begun every
    /// `walkLength` entries, right behind the last key: entries that are stored or deleted meanwhile are seen or not.
    func walk(
        _ table: Table, from start: [UInt8] = [0],
        _ body: (borrowing ReadTransaction, RawSpan, RawSpan) throws(LMDBError) -> WalkStep
    ) throws(LMDBError) {
        var start = start
        var step = WalkStep.renew
        while step == .renew {
            step = try environment.read { (transaction) throws(LMDBError) in
                var cursor = try transaction.cursor(table)
                var isThere = try unsafe cursor.seek(start.span.bytes)
                var left = Self.walkLength
                while isThere {
                    left -= 1
                    switch try body(transaction, cursor.key, cursor.value) {
                    case .stop: return .stop
                    case .next where left > 0: isThere = try cursor.next()
                    case .next, .renew:
                        try start.advance(behind: cursor.key)
                        return .renew
                    }
                }
                return .stop
            }
        }
    }

    /// Lends the entries whose keys begin with `prefix`.
    func walk(
        _ table: Table, under prefix: [UInt8],
        _ body: (borrowing ReadTransaction, RawSpan, RawSpan) throws(LMDBError) -> WalkStep
    ) throws(LMDBError) {
        try walk(table, from: prefix) { (transaction, key, value) throws(LMDBError) in
            guard key.starts(with: prefix) else { return .stop }
            return try body(transaction, key, value)
        }
    }

    /// Runs `body` and says what LMDB has failed with in the words of the store.
    func inspecting<R>(_ body: () throws(LMDBError) -> R) throws(StoreError) -> R {
        do throws(LMDBError) {
            return try body()
        } catch {
            throw StoreError(error, path: path, options: options)
        }
    }
}

extension [UInt8] {
    /// Moves the beginning of a walk behind a key. No key lies between it and the same with a zero behind it.
    ///
    /// - Throws: `.damaged` when that is no way forward: keys that are not in order would lead a walk in a circle.
    mutating func advance(behind key: RawSpan) throws(LMDBError) {
        let next = key.copy(from: 0) + [0]
        guard lexicographicallyPrecedes(next) else { throw .damaged("keys of a tree are not in order") }
        self = next
    }
}

extension PrefixHash {
    /// The hash that a key of a table consists of; nil when the key has another length.
    init?(key: RawSpan) {
        guard key.byteCount == Self.byteCount else { return nil }
        self.init(key, at: 0)
    }
}
