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
    /// The memory of the records.
    var arena: PageArena
    /// What has happened so far. `statistics` fills in what the tier holds now.
    var counters = HotStatistics()
    /// Pages with pins.
    private(set) var pinnedPages = 0
    /// The spaces to which a handle exists.
    var handles: [PrefixHash: WeakSpace] = [:]
    /// Seats taken by inserts that have not published their page yet.
    var seatsInFlight = 0
    /// The bytes of the pages that are not encoded yet, by node.
    var staged: [Int32: StagedPage] = [:]

    /// An empty tier.
    init(capacity: Int) {
        arena = PageArena(capacity: capacity)
        history = UseHistory(capacity: capacity)
    }

    /// Bytes that a page takes of the budget.
    func bytes(of page: RadixNode) -> Int {
        if case .record(let seat) = page.body { arena.seatBytes(seat) } else { 0 }
    }

    /// The bytes of a page, for a lease or a pin.
    func content(of node: Int32) -> HotContent {
        switch tree.nodes[Int(node)].body {
        case .none: .none
        case .staged: staged[node].map { .staged($0.source, owner: $0) } ?? .none
        case .record(let seat): unsafe .record(HeldRecord(arena.address(seat), byteCount: seat.byteCount))
        }
    }

    /// Replaces the staged bytes of a page by its record in `seat`.
    mutating func settle(_ node: Int32, _ seat: Seat) {
        seatsInFlight -= 1
        // Another thread may have encoded the page meanwhile.
        guard tree.nodes[Int(node)].body == .staged else { return arena.give(seat) }
        tree.nodes[Int(node)].body = .record(seat)
        staged[node] = nil
    }

    /// Lets the staged bytes of a page go: it is a miss from now on.
    private mutating func abandon(_ node: Int32) {
        tree.nodes[Int(node)].body = .none
        tree.nodes[Int(node)].isDroppable = true
        staged[node] = nil
        counters.refused += 1
    }

    /// Protects `node`, and with it all pages before it, until `unpin`.
    mutating func pin(_ node: Int32) {
        if tree.nodes[Int(node)].pins == 0 && tree.nodes[Int(node)].isPage { pinnedPages += 1 }
        tree.nodes[Int(node)].pins += 1
        refresh(node)
    }

    /// Releases one pin. Whoever encodes a page has it pinned: a page that is staged after its last pin found no room
    /// for its record, or nobody to encode it.
    mutating func unpin(_ node: Int32) {
        precondition(tree.nodes[Int(node)].pins > 0, "a pin was given back twice")
        tree.nodes[Int(node)].pins -= 1
        guard tree.nodes[Int(node)].pins == 0 else { return }
        if tree.nodes[Int(node)].body == .staged { abandon(node) }
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

    /// Removes an evictable page from the tree; the seat of its record is free afterwards.
    mutating func drop(_ node: Int32) {
        let page = tree.nodes[Int(node)]
        precondition(page.isEvictable, "only an unpinned leaf can be dropped")
        order.remove(node)
        tree.remove(node)
        if case .record(let seat) = page.body { arena.give(seat) }
        refresh(page.parent)
    }

    /// The state in numbers. Walks all nodes for `dirtyPages`: microseconds per thousand pages.
    var statistics: HotStatistics {
        var numbers = counters
        numbers.capacity = ByteCount(UInt64(arena.capacity))
        numbers.residentBytes = ByteCount(UInt64(arena.residentBytes))
        numbers.usedBytes = ByteCount(UInt64(arena.usedBytes))
        numbers.indexBytes = ByteCount(UInt64(tree.byteCount + order.byteCount))
        numbers.pages = tree.pageCount
        numbers.pinnedPages = pinnedPages
        numbers.dirtyPages = tree.nodes.count { $0.isPage && !$0.isStored && $0.body != .none }
        return numbers
    }
}

/// A weak reference to a space, so that the tier does not keep itself alive through its spaces.
struct WeakSpace {
    weak var space: HotSpace?
}
