// One walk over the eviction order: its lists are read side by side, a few entries of each at a time.

internal import KVFormat
internal import LMDB

/// How far a transaction has walked along each list of the eviction order. Entries that it has passed are not read
/// again until `restart`.
struct EvictionWalk {
    /// Entries of a list that are read together.
    private static let length = 32

    private struct List {
        let order: QueueKey.Order
        /// Where reading continues; empty before the first read, nil at the end.
        var next: [UInt8]? = []
        /// Entries that were read but not returned yet.
        var entries: ArraySlice<QueueKey> = []
    }

    private var expiring = List(order: .expiry)
    private var lists = (0..<UseHistory.classes).map { List(order: .use($0)) }

    /// Whether nothing was read since the walk began.
    var isAtStart: Bool { expiring.next == [] }

    /// Starts again with the first entries.
    mutating func restart() { self = EvictionWalk() }

    /// The next entry: expired pages first, then the page that is worth the least. Invalid keys are deleted on the way.
    mutating func next(
        _ history: UseHistory, now: Int64, _ tables: Tables, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> QueueKey? {
        try Self.fill(&expiring, tables, &transaction)
        if let first = expiring.entries.first, first.milliseconds <= now { return expiring.entries.popFirst() }
        let list = try history.classToEvict(at: now) { (useClass) throws(LMDBError) in
            try Self.fill(&lists[useClass], tables, &transaction)
            return lists[useClass].entries.first?.milliseconds
        }
        return list.flatMap { lists[$0].entries.popFirst() }
    }

    private static func fill(
        _ list: inout List, _ tables: Tables, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        while list.entries.isEmpty, let start = list.next {
            let first = [list.order.byte]
            let keys = try transaction.keys(tables.queue, from: start.isEmpty ? first : start, limit: length) {
                $0.starts(with: first)
            }
            // The smallest key behind the last one.
            list.next = keys.last.map { $0 + [0] }
            for key in keys {
                if let entry = unsafe QueueKey(key.span.bytes) {
                    list.entries.append(entry)
                } else {
                    try transaction.erase(tables.queue, key)
                }
            }
        }
    }
}
