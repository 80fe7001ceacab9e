// Making room: one step under the mutex.

internal import KVFormat

/// The result of one attempt to make room for a page.
enum RoomStep {
    /// A seat for the page. Only the caller has it until the page is published.
    case seat(Int32)
    /// This page, which is pinned now, must be offered to the spill closure. Then the caller tries again.
    case offer(Int32)
    /// Nothing more can be evicted.
    case none
}

extension TierState {
    /// Takes a seat of pool `pool`, and evicts what is necessary for it.
    ///
    /// - Parameter offersUnstored: whether pages that the cold tier does not have are offered for spilling before they
    ///   are evicted.
    /// - Parameter now: milliseconds since the Unix epoch.
    mutating func makeRoom(in pool: Int, offersUnstored: Bool, now: Int64) -> RoomStep {
        guard arena.pools[pool].seatBytes <= arena.capacity else { return .none }
        history.learn()
        while true {
            if let seat = arena.take(from: pool) {
                seatsInFlight += 1
                return .seat(seat)
            }
            guard let victim = order.first(at: now, history) else { return .none }
            let page = tree.nodes[Int(victim)]
            if offersUnstored && !page.isStored && !page.isDroppable {
                pin(victim)
                return .offer(victim)
            }
            history.countEviction(of: page.use, bytes: seatBytes(of: page), at: now)
            drop(victim)
            counters.evicted += 1
            if !page.isStored { counters.evictedUnstored += 1 }
        }
    }

    /// Removes a page whose date has passed, with all pages behind it.
    /// - Returns: false when one of them is pinned: it stays, and is a miss.
    mutating func removeExpired(_ node: Int32) -> Bool {
        removeSubtree(of: node)
        return !tree.nodes[Int(node)].isPage
    }

    /// Removes `node` and the pages behind it, except pinned pages and those before them.
    /// - Returns: the number of pages removed.
    @discardableResult
    mutating func removeSubtree(of node: Int32) -> Int {
        var removed = 0
        for next in tree.subtree(of: node).reversed() where tree.nodes[Int(next)].isEvictable {
            drop(next)
            removed += 1
        }
        counters.removed += removed
        return removed
    }
}
