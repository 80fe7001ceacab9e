// Eviction: which pages are removed when the quota has no room for new ones.
//
// Expired pages are evicted first, then the page that is worth the least. `UseHistory` learns the worth of each class
// and age from the store's own traffic; docs/eviction.md has the reasons and the figures. A class says how many
// continuations share a page. The table `queue` has a list by last use for each class, so that only the first entry of
// each has to be compared. Leaves are evicted first: a page is worthless without those before it, so a page that has
// children is spared until they are gone. When it is worth less than one of them, it moves behind that child in the
// order, so that the walk does not meet it again and again. At equal times the deeper page is evicted first. Pinned
// pages are not in the order at all.

internal import KVFormat
internal import LMDB

extension WriteSession {
    /// Whether at most `limit` bytes are in use after `bytes` more are added.
    private func fits(_ bytes: Int, within limit: UInt64) -> Bool {
        counters.usedBytes <= limit && limit - counters.usedBytes >= UInt64(bytes)
    }

    /// Evicts until `bytes` more fit into the quota, or into `limit` bytes if that is given; and, as far as pages may
    /// go, until `cushion` bytes of that are left.
    ///
    /// - Returns: false when they do not fit, because they are larger than the limit or because everything left is
    ///   pinned or spared.
    mutating func makeRoom(
        for bytes: Int, within limit: UInt64? = nil, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> Bool {
        let limit = limit ?? counters.quota
        guard UInt64(bytes) <= limit else { return false }
        let wished = limit - min(limit - UInt64(bytes), UInt64(cushion))
        guard !fits(bytes, within: wished) else { return true }
        if walk.isAtStart { try mendFutureUses(&transaction) }
        var history = try history(&transaction) { (history: inout UseHistory) -> UseHistory in
            history.learn()
            return history
        }
        var seen = changes
        var isStuck = false
        while !fits(bytes, within: wished), !isStuck {
            guard let entry = try walk.next(history, now: now, tables, &transaction) else {
                // An entry that moved in the order, or whose last child was removed, may now be before the place that
                // this walk has reached.
                isStuck = changes == seen
                seen = changes
                if !isStuck { walk.restart() }
                continue
            }
            try evict(entry, &history, &transaction)
        }
        try self.history(&transaction) { $0 = history }
        return fits(bytes, within: limit)
    }

    /// Uses in the future come from a clock that was ahead, and would keep their pages for ever. They become uses of
    /// the present, a few in each transaction that evicts.
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

    /// Evicts the page of one entry of the order, if that is possible now.
    private mutating func evict(
        _ entry: QueueKey, _ history: inout UseHistory, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        guard let node = try transaction.node(entry.hash, tables).record else {
            return try evictUnreadable(entry, &transaction)
        }
        guard try isInStep(entry, node, &transaction), !isSpared(entry.hash) else { return }
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

    /// Handles an entry whose page has no readable node. Either the page was removed, or it is damaged and is evicted
    /// with all that follow it.
    private mutating func evictUnreadable(
        _ entry: QueueKey, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        try transaction.erase(tables.queue, entry.encoded)
        guard try transaction.has(tables.nodes, entry.hash.bytes) else { return }
        count(evicted: try removeSubtree(of: entry.hash, &transaction).count)
    }

    /// Whether an entry agrees with its page's recency. If not, the entry is deleted or repaired.
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

    /// A page with children is worth at least as much as they are, so it moves behind one of them.
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

    /// An expired page is evicted with all that follow it, because no match can pass it, unless one of them is pinned
    /// or spared.
    private mutating func evictExpired(
        _ hash: PrefixHash, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        let subtree = try subtree(of: hash, &transaction)
        for member in subtree {
            if isSpared(member) { return }
            if let recency = try transaction.recency(member, tables).record, recency.pins > 0 { return }
        }
        for member in subtree.reversed() { try remove(member, &transaction) }
        count(evicted: subtree.count)
    }

    private func isSpared(_ hash: PrefixHash) -> Bool { spared.contains(hash) || kept.contains(hash) }

    private mutating func count(evicted pages: Int) {
        evicted += pages
        changes += pages
        counters.evicted.shift(by: pages)
    }
}
