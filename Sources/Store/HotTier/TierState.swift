// Everything that the tier's mutex guards, and the few operations that keep tree, order and arena in step.

internal import KVFormat

/// The state of one tier. Every method leaves these true (`TierState+Invariants.swift` checks them): a page is in the
/// eviction order exactly when it is evictable; a seat is in use exactly when a page or one insert in flight has it.
struct TierState {
    /// Pages by token ids and by hash.
    var tree = RadixTree()
    /// Pages that can be evicted.
    var order = EvictionOrder()
    /// Which pages come back, and when.
    var history: UseHistory
    /// Page memory.
    var arena: PageArena
    /// What has happened so far. `statistics` fills in what the tier holds now.
    var counters = HotStatistics()
    /// Pages with pins.
    private(set) var pinnedPages = 0
    /// The spaces to which a handle exists.
    var handles: [PrefixHash: WeakSpace] = [:]
    /// Seats taken by inserts that have not published their page yet.
    var seatsInFlight = 0

    /// An empty tier.
    init(capacity: Int) {
        arena = PageArena(capacity: capacity)
        history = UseHistory(capacity: capacity)
    }

    /// Bytes that a page takes.
    func seatBytes(of page: RadixNode) -> Int { arena.pools[tree.spaces[Int(page.space)].pool].seatBytes }

    /// Protects `node`, and with it all pages before it, until `unpin`.
    mutating func pin(_ node: Int32) {
        if tree.nodes[Int(node)].pins == 0 && tree.nodes[Int(node)].isPage { pinnedPages += 1 }
        tree.nodes[Int(node)].pins += 1
        refresh(node)
    }

    /// Releases one pin.
    mutating func unpin(_ node: Int32) {
        precondition(tree.nodes[Int(node)].pins > 0, "a pin was given back twice")
        tree.nodes[Int(node)].pins -= 1
        guard tree.nodes[Int(node)].pins == 0 else { return }
        if tree.nodes[Int(node)].isPage { pinnedPages -= 1 }
        if tree.nodes[Int(node)].isSuperseded {
            drop(node)
        } else {
            refresh(node)
        }
    }

    /// Puts `node` where it belongs in the eviction order, after any change to it.
    mutating func refresh(_ node: Int32) {
        let page = tree.nodes[Int(node)]
        if page.isEvictable {
            order.set(node, EvictionOrder.place(of: page))
        } else {
            order.remove(node)
        }
    }

    /// Removes an evictable page from the tree; its seat is free afterwards.
    mutating func drop(_ node: Int32) {
        let page = tree.nodes[Int(node)]
        precondition(page.isEvictable, "only an unpinned leaf can be dropped")
        order.remove(node)
        tree.remove(node)
        arena.give(page.seat, to: tree.spaces[Int(page.space)].pool)
        refresh(page.parent)
    }

    /// The state in numbers. Walks all nodes for `dirtyPages`: microseconds per thousand pages.
    var statistics: HotStatistics {
        var numbers = counters
        numbers.capacity = ByteCount(UInt64(arena.capacity))
        numbers.residentBytes = ByteCount(UInt64(arena.residentBytes))
        numbers.usedBytes = ByteCount(UInt64(arena.usedBytes))
        numbers.indexBytes = ByteCount(UInt64(tree.byteCount + order.byteCount + arena.runBytes))
        numbers.pages = tree.pageCount
        numbers.pinnedPages = pinnedPages
        numbers.dirtyPages = tree.nodes.count { $0.isPage && !$0.isStored }
        return numbers
    }
}

/// A weak reference to a space, so that the tier does not keep itself alive through its spaces.
struct WeakSpace {
    weak var space: HotSpace?
}
