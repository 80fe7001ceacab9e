// Making room: one step under the mutex.

internal import KVFormat

/// A seat, and where it is.
@safe
struct Room: @unchecked Sendable {
    // Unchecked: only the thread that made the room writes to it, before it publishes the page.
    let seat: Seat
    private let isFresh: Bool
    private let address: UnsafeMutableRawPointer

    /// - Parameter isFresh: whether the seat's memory is not there yet.
    init(_ seat: Seat, isFresh: Bool, _ address: UnsafeMutableRawPointer) {
        self.seat = seat
        self.isFresh = isFresh
        unsafe self.address = address
    }

    /// Copies a record, of as many bytes as the seat was taken for, into it.
    func copy(_ record: RawSpan) {
        precondition(record.byteCount == seat.byteCount, "a seat for \(seat.byteCount) bytes")
        unsafe record.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            if isFresh { unsafe FreshMemory.provide(address, byteCount: seat.byteCount) }
            unsafe address.copyMemory(from: base, byteCount: bytes.count)
        }
    }
}

/// The result of one attempt to make room for a page.
enum RoomStep {
    /// Room for the record. Only the caller has it until the page is published.
    case room(Room)
    /// This page, which is pinned now, must be offered to the spill closure. Then the caller tries again.
    case offer(Int32)
    /// Nothing more can be evicted.
    case none
}

extension TierState {
    /// Takes a seat for a record of `size` bytes, and evicts what is necessary for it.
    ///
    /// - Parameter offersUnstored: whether pages that the cold tier does not have are offered for spilling before they
    ///   are evicted.
    /// - Parameter now: milliseconds since the Unix epoch.
    mutating func makeRoom(_ size: Int, offersUnstored: Bool, now: Int64) -> RoomStep {
        guard arena.canHold(size) else { return .none }
        history.learn()
        while true {
            let taken: (seat: Seat, isFresh: Bool)?
            do throws(StoreError) { taken = try arena.take(size) } catch { return .none }
            if let (seat, isFresh) = taken {
                seatsInFlight += 1
                return unsafe .room(Room(seat, isFresh: isFresh, arena.address(seat)))
            }
            guard let victim = order.first(at: now, history) else { return .none }
            let page = tree.nodes[Int(victim)]
            if offersUnstored && !page.isStored && !page.isDroppable {
                pin(victim)
                return .offer(victim)
            }
            history.countEviction(of: page.use, bytes: bytes(of: page), at: now)
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
