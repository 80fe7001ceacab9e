// Making room: one step under the mutex.

internal import KVFormat

/// What making room for one page came to.
enum RoomStep {
    /// A seat for the page; it is the caller's alone until the page is published.
    case seat(Int32)
    /// This page, now pinned, must be offered to the spill closure, and room be looked for again.
    case offer(Int32)
    /// Nothing more can be evicted.
    case none
}

extension TierState {
    /// Takes a seat of pool `pool`, evicting what must go for it.
    ///
    /// - Parameter offersUnstored: whether pages that the cold tier does not have are offered for spilling before they
    ///   go.
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

    /// Takes out a page whose date has passed, with all behind it.
    ///
    /// - Returns: false when somebody holds one of them: it stays, and is a miss.
    mutating func removeExpired(_ node: Int32) -> Bool {
        removeSubtree(of: node)
        return !tree.nodes[Int(node)].isPage
    }

    /// Takes out `node` and the pages behind it; pinned ones stay, and those before them.
    ///
    /// - Returns: the pages taken out.
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
