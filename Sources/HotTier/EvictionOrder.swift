// Which page leaves the hot tier when room is needed.
//
// The policy: of all pages that no page follows and nobody has pinned, in whichever space, the one with the lowest use
// score goes.
//
// - A leaf, because a page is of no use without all pages before it: an evicted inner page would strand its subtree.
//   A prefix is therefore eaten from its end, and what many prompts share (their beginning) lives longest.
// - The lowest use score (`UseScore`: the time of the last use, with a credit for pages that came back after a while),
//   because neither recency nor a count alone will do. A batch of prompts that are used once would wash a prompt that
//   is used every few minutes out of an LRU; a count of hits keeps the conversations that ended and throws out the live
//   ones. docs/eviction.md has the figures.
// - Bytes need not be weighed: a page of a larger model takes more bytes in about the proportion in which it takes
//   longer to prefill.
// - A page that the cold tier does not have yet has one half-life of credit more: its eviction costs a
//   write first, or a prefill later where another costs a read. It is no absolute preference, or pages just promoted
//   from the cold tier would always go before old ones that were never stored.
// - A tail that a longer page has superseded is not weighed at all: it goes at once, or with its last pin.

internal import KVFormat

/// The pages that can be evicted, lowest key first: a binary heap that knows each page's place, so that a page which is
/// used or pinned moves in logarithmic time and the heap never holds an outdated entry. Not thread-safe: the tier's
/// mutex guards it.
struct EvictionOrder {
    private struct Entry {
        var key: Int64
        var node: Int32

        // Equal keys go in the order of the nodes, so that a test can tell what happens.
        func isBefore(_ other: Entry) -> Bool { key == other.key ? node < other.node : key < other.key }
    }

    private var heap: [Entry] = []
    // The place in `heap` of each node; -1 for those that are not in it.
    private var places: [Int32] = []

    /// The key of a page: milliseconds, as in `UseScore`.
    static func key(of page: RadixNode) -> Int64 {
        let mustBeSpilled = !page.isStored && !page.isDroppable
        return page.score.milliseconds + (mustBeSpilled ? UseScore.halfLife : 0)
    }

    /// Pages that can be evicted.
    var count: Int { heap.count }

    /// The page to evict next.
    var first: Int32? { heap.first?.node }

    /// The key that `node` stands under; nil when it can't be evicted.
    func key(at node: Int32) -> Int64? {
        guard let place = place(of: node) else { return nil }
        return heap[place].key
    }

    /// Adds `node`, or moves it to where `key` belongs.
    mutating func set(_ node: Int32, key: Int64) {
        let entry = Entry(key: key, node: node)
        if let place = place(of: node) {
            guard heap[place].key != key else { return }
            heap[place] = entry
            settle(place)
        } else {
            while places.count <= Int(node) { places.append(-1) }
            heap.append(entry)
            places[Int(node)] = Int32(heap.count - 1)
            settle(heap.count - 1)
        }
    }

    /// Takes `node` out, if it is in.
    mutating func remove(_ node: Int32) {
        guard let place = place(of: node) else { return }
        places[Int(node)] = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        places[Int(last.node)] = Int32(place)
        settle(place)
    }

    private func place(of node: Int32) -> Int? {
        guard Int(node) < places.count, places[Int(node)] >= 0 else { return nil }
        return Int(places[Int(node)])
    }

    private mutating func settle(_ start: Int) {
        var place = start
        while place > 0 && heap[place].isBefore(heap[(place - 1) / 2]) {
            exchange(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
        while let child = lesserChild(of: place), heap[child].isBefore(heap[place]) {
            exchange(place, child)
            place = child
        }
    }

    private func lesserChild(of place: Int) -> Int? {
        let left = 2 * place + 1
        guard left < heap.count else { return nil }
        return left + 1 < heap.count && heap[left + 1].isBefore(heap[left]) ? left + 1 : left
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        heap.swapAt(left, right)
        places[Int(heap[left].node)] = Int32(left)
        places[Int(heap[right].node)] = Int32(right)
    }

    /// Bytes of the heap.
    var byteCount: Int { heap.count * MemoryLayout<Entry>.stride + places.count * MemoryLayout<Int32>.stride }

    /// What is wrong with the heap itself; empty when nothing is.
    func checkInvariants() -> [String] {
        var faults: [String] = []
        for place in heap.indices {
            if place > 0 && heap[place].isBefore(heap[(place - 1) / 2]) {
                faults.append("the eviction heap is out of order")
            }
            if self.place(of: heap[place].node) != place { faults.append("the eviction heap has lost a node's place") }
        }
        if places.count(where: { $0 >= 0 }) != heap.count {
            faults.append("the eviction heap has places without entries")
        }
        return faults
    }
}
