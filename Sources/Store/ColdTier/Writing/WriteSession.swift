// What every write transaction carries: the counters of the store and of its spaces, kept in step with each change.

internal import KVFormat
internal import LMDB

/// The counters during one write transaction. They are read at its beginning and written at its end, so that counters
/// and content always commit together.
package struct WriteSession {
    let tables: Tables
    /// Milliseconds since the Unix epoch, when the transaction began.
    package let now: Int64
    /// The store's counters.
    package var counters: CountersRecord
    private var spaces: [PrefixHash: SpaceRecord] = [:]
    /// Pages that eviction must spare in this transaction: those just stored, and the parents of those to come.
    var spared: Set<PrefixHash> = []
    /// Pages that eviction must spare because the caller of a put says so. Never changed here: it may be large.
    var kept: Set<PrefixHash> = []
    /// How far this transaction has walked along the eviction order.
    var walk = EvictionWalk()
    private var learned: UseHistory?
    /// Bytes of the file within which records are stored: see `ColdTier.recordBound`.
    var recordBound = Int.max
    /// Bytes of the quota that puts keep free: see `EvictionCushion`.
    var cushion = 0
    /// Dates of the used pages that have one.
    var dates: [PrefixHash: Int64] = [:]
    /// Pages evicted in this transaction.
    var evicted = 0
    /// Whether every page of the file was found to have one owner; see `requireOwnRecord`.
    var hasSoundTrees = false
    /// How often eviction has changed the order in this transaction: how many pages were evicted or moved.
    var changes = 0

    init(_ transaction: inout WriteTransaction, _ tables: Tables, now: Int64) throws(LMDBError) {
        self.tables = tables
        self.now = now
        let stored = try transaction.read(tables.meta, MetaKey.counters) { CountersRecord($0) }
        // Both count the same pages. When damage or a bug has made them differ, everything is counted again.
        if let record = stored.record, record.pages == UInt64(try transaction.entryCount(tables.nodes)) {
            counters = record
        } else {
            counters = try CountersRecord(recounting: &transaction, tables, history: stored.record)
        }
    }

    /// Writes the counters. The last thing a transaction does.
    mutating func finish(_ transaction: inout WriteTransaction) throws(LMDBError) {
        counters.generation &+= 1
        try transaction.write(tables.meta, MetaKey.counters, counters.encoded)
        if let learned { try transaction.write(tables.meta, MetaKey.history, HistoryRecord.encoded(learned)) }
        for (root, space) in spaces { try transaction.write(tables.spaces, root.bytes, space.encoded) }
    }

    /// Lends what the store has learned about its traffic; it is written with the counters. A damaged history starts
    /// again from nothing.
    mutating func history<R>(
        _ transaction: inout WriteTransaction, _ body: (inout UseHistory) -> R
    ) throws(LMDBError) -> R {
        var history: UseHistory
        if let learned {
            history = learned
        } else {
            let quota = counters.quota
            let stored = try transaction.read(tables.meta, MetaKey.history) { HistoryRecord.history($0, quota: quota) }
            history = stored.record ?? UseHistory(capacity: Int(clamping: quota))
        }
        learned = nil
        defer { learned = history }
        return body(&history)
    }

    /// A space that is registered in this transaction.
    mutating func add(_ space: SpaceRecord) { spaces[space.descriptor.root] = space }

    /// Leaves a space out of what the transaction writes: its entry is deleted.
    mutating func remove(space root: PrefixHash) { spaces[root] = nil }

    /// A space; nil when it is not registered, or damaged.
    mutating func space(_ root: PrefixHash, _ transaction: inout WriteTransaction) throws(LMDBError) -> SpaceRecord? {
        if let known = spaces[root] { return known }
        guard let record = try transaction.space(root, tables).record else { return nil }
        spaces[root] = record
        return record
    }

    /// Changes a space's counters; does nothing when the space is not registered.
    mutating func update(
        _ root: PrefixHash, _ transaction: inout WriteTransaction, _ change: (inout SpaceRecord) -> Void
    ) throws(LMDBError) {
        guard var record = try space(root, &transaction) else { return }
        change(&record)
        spaces[root] = record
    }
}

extension UInt64 {
    /// Adds a signed number and stops at 0: counters that damage made wrong must not trap.
    mutating func shift(by delta: Int) {
        self = delta < 0 ? self &- Swift.min(self, UInt64(-delta)) : self &+ UInt64(delta)
    }
}

extension CountersRecord {
    /// Counts everything again, as a store does whose counters are damaged. Walks all nodes and side states.
    /// - Parameter history: counters from which to keep what cannot be counted again: quota, evictions, generation.
    init(
        recounting transaction: inout WriteTransaction, _ tables: Tables, history: CountersRecord?
    ) throws(LMDBError) {
        self.init()
        if let history {
            quota = history.quota
            evicted = history.evicted
            quarantined = history.quarantined
            generation = history.generation
        }
        for key in try transaction.keys(tables.nodes, from: [0], limit: .max, while: { _ in true }) {
            let node = try transaction.read(tables.nodes, key) { node -> NodeRecord? in
                unsafe key.count == PrefixHash.byteCount ? NodeRecord(node, key: PrefixHash(key.span.bytes)) : nil
            }
            if let node = node.record {
                count(node, by: 1)
            } else {
                count(
                    unreadable: try transaction.valueBytes(tables.nodes, key),
                    valueBytes: try transaction.valueBytes(tables.pages, key), by: 1)
            }
        }
        var sides = try transaction.cursor(tables.sides)
        while try sides.next() {
            sideStates += 1
            slotBytes.shift(by: sides.value.byteCount + SlotSize.header)
        }
    }

    /// Counts a page in (1) or out (-1).
    mutating func count(_ node: NodeRecord, by sign: Int) {
        pages.shift(by: sign)
        slotBytes.shift(by: sign * node.slotBytes)
        encodedBytes.shift(by: sign * Int(node.encodedBytes))
        rawBytes.shift(by: sign * Int(node.rawBytes))
        indexBytes.shift(by: sign * node.indexBytes)
    }

    /// Counts a page whose node cannot be read in or out, by what can be seen of it.
    mutating func count(unreadable nodeBytes: Int?, valueBytes: Int?, by sign: Int) {
        pages.shift(by: sign)
        if let valueBytes { slotBytes.shift(by: sign * (valueBytes + SlotSize.header)) }
        let nameBytes = max(0, (nodeBytes ?? 0) - NodeRecord.headerBytes - 8)
        indexBytes.shift(by: sign * NodeRecord.indexBytes(nameBytes: nameBytes))
    }
}
