// Eviction: which pages go when the quota has no room for new ones.
//
// The order is that of the table `queue`: expired pages first, then by use score, the least first. The score is the time
// of the last use, with a credit of minutes for pages that came back after a while (`UseScore`; docs/eviction.md has the
// reasons and the figures). Leaves go first: a page is worthless without those before it, so a page that has children is
// spared until they are gone. A match uses a whole path at once, so that a page's score is rarely below its children's;
// when it is, the page moves behind one of its children in the order, and the walk does not meet it again and again. At
// equal scores the deeper page goes first. Pinned pages are not in the order at all.

internal import KVFormat
internal import LMDB

extension WriteSession {
    /// Entries of the eviction order that are looked at together.
    private static let planLength = 64

    /// Bytes that the quota has left.
    var room: UInt64 { counters.quota &- min(counters.quota, counters.usedBytes) }

    /// Evicts until `bytes` more fit into the quota.
    ///
    /// - Returns: false when they do not, since they are more than the quota, or all that is left is pinned or spared.
    mutating func makeRoom(for bytes: Int, _ transaction: inout WriteTransaction) throws(LMDBError) -> Bool {
        guard UInt64(bytes) <= counters.quota else { return false }
        if room < UInt64(bytes), planStart.isEmpty { try mendFutureScores(&transaction) }
        var seen = changes
        while room < UInt64(bytes) {
            let plan = try transaction.keys(
                tables.queue, from: planStart.isEmpty ? [0] : planStart, limit: Self.planLength
            ) {
                _ in true
            }
            guard let last = plan.last else {
                // What moved in the order, or lost the last page that followed it, may stand before the end of this walk.
                guard changes > seen else { return false }
                seen = changes
                planStart = []
                continue
            }
            // Just behind the last entry that is looked at now.
            planStart = last + [0]
            for key in plan {
                guard try evict(key, &transaction) else { break }
                if room >= UInt64(bytes) {
                    planStart = key
                    break
                }
            }
        }
        return true
    }

    /// Scores that no page can have by now come from a clock that was ahead, and would keep their pages for ever: they become
    /// scores of the present, a few in each transaction that evicts.
    private mutating func mendFutureScores(_ transaction: inout WriteTransaction) throws(LMDBError) {
        for _ in 0..<Self.planLength {
            guard let key = try transaction.lastKey(tables.queue), let entry = unsafe QueueKey(key.span.bytes),
                entry.order == .use, entry.milliseconds > now + UseScore.ceiling
            else { return }
            try transaction.erase(tables.queue, key)
            guard let node = try transaction.node(entry.hash, tables).record else { continue }
            let old = try transaction.recency(entry.hash, tables).record
            var new = old ?? RecencyRecord(score: UseScore(firstUse: now), lastUse: now)
            new.score = UseScore(firstUse: now)
            new.lastUse = min(new.lastUse, now)
            try write(new, of: entry.hash, firstToken: node.firstToken, replacing: old, &transaction)
        }
    }

    /// Evicts the page of one entry of the order, if it may go now.
    ///
    /// - Returns: false when the walk has jumped and the rest of the plan does not count.
    private mutating func evict(_ key: [UInt8], _ transaction: inout WriteTransaction) throws(LMDBError) -> Bool {
        guard let entry = unsafe QueueKey(key.span.bytes) else {
            try transaction.erase(tables.queue, key)
            return true
        }
        if entry.order == .expiry, entry.milliseconds > now {
            planStart = [QueueKey.Class.use.rawValue]
            return false
        }
        guard let node = try transaction.node(entry.hash, tables).record else {
            try evictUnreadable(entry, key, &transaction)
            return true
        }
        guard try isInStep(entry, key, node, &transaction) else { return true }
        guard !spared.contains(entry.hash) else { return true }
        if entry.order == .expiry {
            try evictExpired(entry.hash, &transaction)
        } else if let child = try firstChild(of: entry.hash, &transaction) {
            try requeue(entry, node, behind: child, &transaction)
        } else {
            try remove(entry.hash, &transaction)
            count(evicted: 1)
        }
        return true
    }

    /// An entry whose page has no readable node: the page was taken out, or is damaged and goes with all that follow it.
    private mutating func evictUnreadable(
        _ entry: QueueKey, _ key: [UInt8], _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        try transaction.erase(tables.queue, key)
        guard try transaction.has(tables.nodes, entry.hash.bytes) else { return }
        count(evicted: try removeSubtree(of: entry.hash, &transaction).count)
    }

    /// Whether an entry is one that its page's recency says; deleted or mended when not.
    private mutating func isInStep(
        _ entry: QueueKey, _ key: [UInt8], _ node: NodeRecord, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> Bool {
        guard let recency = try transaction.recency(entry.hash, tables).record else {
            try transaction.erase(tables.queue, key)
            let mended = RecencyRecord(score: UseScore(firstUse: now), lastUse: now)
            try write(mended, of: entry.hash, firstToken: node.firstToken, replacing: nil, &transaction)
            return false
        }
        let isInStep = QueueKey.entries(of: entry.hash, recency, firstToken: node.firstToken).contains(entry)
        if !isInStep { try transaction.erase(tables.queue, key) }
        return isInStep
    }

    /// A page with children is worth at least what they are: it moves behind one of them.
    private mutating func requeue(
        _ entry: QueueKey, _ node: NodeRecord, behind child: PrefixHash, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        guard let old = try transaction.recency(entry.hash, tables).record,
            let childScore = try transaction.recency(child, tables).record?.score, childScore > old.score
        else { return }
        var new = old
        new.score = childScore
        changes += 1
        try write(new, of: entry.hash, firstToken: node.firstToken, replacing: old, &transaction)
    }

    /// An expired page goes with all that follow it, since no match can pass it; unless one of them is pinned or spared.
    private mutating func evictExpired(
        _ hash: PrefixHash, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        let subtree = try subtree(of: hash, &transaction)
        for member in subtree {
            if spared.contains(member) { return }
            if let recency = try transaction.recency(member, tables).record, recency.pins > 0 { return }
        }
        for member in subtree.reversed() { try remove(member, &transaction) }
        count(evicted: subtree.count)
    }

    private mutating func count(evicted pages: Int) {
        evicted += pages
        changes += pages
        counters.evicted.shift(by: pages)
    }
}
