// Eviction: which pages go when the quota has no room for new ones.
//
// Expired pages go first, then the page that is worth the least: of its class, by how many continuations share it, and
// at its age, the smallest share will come back for the time that it would be kept (`UseHistory`, learned from the
// store's own traffic; docs/eviction.md has the reasons and the figures). The table `queue` has a list by last use for
// each class, so that only the first entry of each has to be compared. Leaves go first: a page is worthless without
// those before it, so a page that has children is spared until they are gone. When it is worth less than one of them,
// it moves behind that child in the order, and the walk does not meet it again and again. At equal times the deeper
// page goes first. Pinned pages are not in the order at all.

internal import KVFormat
internal import LMDB

extension WriteSession {
    /// Whether `bytes` more leave no more than `limit` bytes in use.
    private func fits(_ bytes: Int, within limit: UInt64) -> Bool {
        counters.usedBytes <= limit && limit - counters.usedBytes >= UInt64(bytes)
    }

    /// Evicts until `bytes` more fit into the quota, or into `limit` bytes where that is given.
    ///
    /// - Returns: false when they do not, since they are more than that, or all that is left is pinned or spared.
    mutating func makeRoom(
        for bytes: Int, within limit: UInt64? = nil, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> Bool {
        let limit = limit ?? counters.quota
        guard UInt64(bytes) <= limit else { return false }
        guard !fits(bytes, within: limit) else { return true }
        if walk.isAtStart { try mendFutureUses(&transaction) }
        var history = try history(&transaction) { (history: inout UseHistory) -> UseHistory in
            history.learn()
            return history
        }
        var seen = changes
        var isStuck = false
        while !fits(bytes, within: limit), !isStuck {
            guard let entry = try walk.next(history, now: now, tables, &transaction) else {
                // What moved in the order, or lost the last page that followed it, may stand before the end of this
                // walk.
                isStuck = changes == seen
                seen = changes
                if !isStuck { walk.restart() }
                continue
            }
            try evict(entry, &history, &transaction)
        }
        try self.history(&transaction) { $0 = history }
        return !isStuck
    }

    /// Uses that no page can have had by now come from a clock that was ahead, and would keep their pages for ever:
    /// they become uses of the present, a few in each transaction that evicts.
    private mutating func mendFutureUses(_ transaction: inout WriteTransaction) throws(LMDBError) {
        for useClass in 0..<UseHistory.classes {
            let order = QueueKey.Order.use(useClass)
            for _ in 0..<Self.mendedEntries {
                guard let key = try transaction.lastKey(tables.queue, beginningWith: order.byte),
                    let entry = unsafe QueueKey(key.span.bytes), entry.milliseconds > now + PageUse.ceiling
                else { break }
                try transaction.erase(tables.queue, key)
                guard let node = try transaction.node(entry.hash, tables).record else { continue }
                let old = try transaction.recency(entry.hash, tables).record
                var new = old ?? RecencyRecord(lastUse: now)
                new.setUse(PageUse(last: min(new.use.last, now), branches: new.use.branches))
                try write(new, of: entry.hash, firstToken: node.firstToken, replacing: old, &transaction)
            }
        }
    }

    /// Entries of a list that are mended together.
    private static let mendedEntries = 64

    /// Evicts the page of one entry of the order, if it may go now.
    private mutating func evict(
        _ entry: QueueKey, _ history: inout UseHistory, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        guard let node = try transaction.node(entry.hash, tables).record else {
            return try evictUnreadable(entry, &transaction)
        }
        guard try isInStep(entry, node, &transaction), !spared.contains(entry.hash) else { return }
        if entry.order == .expiry {
            try evictExpired(entry.hash, &transaction)
        } else if let child = try firstChild(of: entry.hash, &transaction) {
            try requeue(entry, node, behind: child, history, &transaction)
        } else {
            if let use = try transaction.recency(entry.hash, tables).record?.use {
                history.countEviction(of: use, bytes: node.slotBytes, at: now)
            }
            try remove(entry.hash, &transaction)
            count(evicted: 1)
        }
    }

    /// An entry whose page has no readable node: the page was taken out, or is damaged and goes with all that follow
    /// it.
    private mutating func evictUnreadable(
        _ entry: QueueKey, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        try transaction.erase(tables.queue, entry.encoded)
        guard try transaction.has(tables.nodes, entry.hash.bytes) else { return }
        count(evicted: try removeSubtree(of: entry.hash, &transaction).count)
    }

    /// Whether an entry is one that its page's recency says; deleted or mended when not.
    private mutating func isInStep(
        _ entry: QueueKey, _ node: NodeRecord, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> Bool {
        guard let recency = try transaction.recency(entry.hash, tables).record else {
            try transaction.erase(tables.queue, entry.encoded)
            let mended = RecencyRecord(lastUse: now)
            try write(mended, of: entry.hash, firstToken: node.firstToken, replacing: nil, &transaction)
            return false
        }
        let isInStep = QueueKey.entries(of: entry.hash, recency, firstToken: node.firstToken).contains(entry)
        if !isInStep { try transaction.erase(tables.queue, entry.encoded) }
        return isInStep
    }

    /// A page with children is worth at least what they are: it moves behind one of them.
    private mutating func requeue(
        _ entry: QueueKey, _ node: NodeRecord, behind child: PrefixHash, _ history: UseHistory,
        _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        func worth(_ place: EvictionPlace) -> Double {
            history.worth(ofClass: place.useClass, age: PageUse.age(of: place.time, at: now))
        }
        guard let old = try transaction.recency(entry.hash, tables).record,
            let place = try transaction.recency(child, tables).record?.place,
            place.useClass == old.place.useClass ? place.time > old.place.time : worth(place) > worth(old.place)
        else { return }
        var new = old
        new.place = place
        changes += 1
        try write(new, of: entry.hash, firstToken: node.firstToken, replacing: old, &transaction)
    }

    /// An expired page goes with all that follow it, since no match can pass it; unless one of them is pinned or
    /// spared.
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
