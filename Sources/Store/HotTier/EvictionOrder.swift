// Which page leaves the hot tier when room is needed.
//
// The policy: of all pages in all spaces that no page follows and that are not pinned, the one that is worth the least
// is evicted.
//
// - Only leaves are evicted, because a page is useless without all pages before it: without an inner page, its subtree
//   could not be reached. So a prefix is evicted from its end, and what many prompts share (their beginning) stays
//   longest.
// - The worth of a page is the share of its class that will come back at its age, per time that it would be kept
//   (`UseHistory`, learned from the tier's own traffic). The class says how many continuations share the page. Within a
//   class the page with the oldest last use is evicted, so that only the first page of each class has to be compared.
//   docs/eviction.md has the reasons and the figures.
// - Bytes are not weighed: a page of a larger model takes more bytes in about the same proportion as it takes longer to
//   prefill.
// - A page that the cold tier does not have yet counts as used ten minutes later than it was: evicting it costs a write
//   first, or a prefill later, where evicting another page costs only a read. The preference is not absolute, because
//   then pages just promoted from the cold tier would always be evicted before old ones that were never stored.
// - A tail that a longer page has superseded is not weighed: it is removed at once, or with its last pin.

internal import KVFormat

/// The pages that can be evicted: one binary heap per class, the oldest use first. It knows each page's place, so that
/// a page that is used or pinned moves in logarithmic time and no heap holds an outdated entry. Not thread-safe: the
/// tier's mutex guards it.
struct EvictionOrder {
    private struct Entry {
        var time: Int64
        var node: Int32

        // Equal times are ordered by node, so that a test can predict what happens.
        func isBefore(_ other: Entry) -> Bool { time == other.time ? node < other.node : time < other.time }
    }

    /// How much later a page that is not on disk counts as used, in milliseconds.
    static let unstoredCredit: Int64 = 10 * 60_000

    private var heaps: [[Entry]] = Array(repeating: [], count: UseHistory.classes)
    // The heap of each node, and its place there; -1 for nodes that are in no heap.
    private var classes: [Int8] = []
    private var places: [Int32] = []

    /// The place of a page.
    static func place(of page: RadixNode) -> EvictionPlace {
        let mustBeSpilled = !page.isStored && !page.isDroppable
        return EvictionPlace(useClass: page.use.useClass, time: page.use.last + (mustBeSpilled ? unstoredCredit : 0))
    }

    /// Pages that can be evicted.
    var count: Int { heaps.reduce(0) { $0 + $1.count } }

    /// The page to evict next.
    func first(at now: Int64, _ history: UseHistory) -> Int32? {
        history.classToEvict(at: now) { heaps[$0].first?.time }.flatMap { heaps[$0].first?.node }
    }

    /// Where `node` stands; nil when it can't be evicted.
    func place(of node: Int32) -> EvictionPlace? {
        guard let (heap, place) = find(node) else { return nil }
        return EvictionPlace(useClass: heap, time: heaps[heap][place].time)
    }

    /// Adds `node`, or moves it to where it belongs.
    mutating func set(_ node: Int32, _ place: EvictionPlace) {
        guard self.place(of: node) != place else { return }
        remove(node)
        while places.count <= Int(node) {
            places.append(-1)
            classes.append(-1)
        }
        let heap = place.useClass
        heaps[heap].append(Entry(time: place.time, node: node))
        places[Int(node)] = Int32(heaps[heap].count - 1)
        classes[Int(node)] = Int8(heap)
        settle(heap, heaps[heap].count - 1)
    }

    /// Removes `node`, if it is there.
    mutating func remove(_ node: Int32) {
        guard let (heap, place) = find(node) else { return }
        places[Int(node)] = -1
        let last = heaps[heap].removeLast()
        guard place < heaps[heap].count else { return }
        heaps[heap][place] = last
        places[Int(last.node)] = Int32(place)
        settle(heap, place)
    }

    private func find(_ node: Int32) -> (heap: Int, place: Int)? {
        guard Int(node) < places.count, places[Int(node)] >= 0 else { return nil }
        return (Int(classes[Int(node)]), Int(places[Int(node)]))
    }

    private mutating func settle(_ heap: Int, _ start: Int) {
        var place = start
        while place > 0 && heaps[heap][place].isBefore(heaps[heap][(place - 1) / 2]) {
            exchange(heap, place, (place - 1) / 2)
            place = (place - 1) / 2
        }
        while let child = lesserChild(heap, of: place), heaps[heap][child].isBefore(heaps[heap][place]) {
            exchange(heap, place, child)
            place = child
        }
    }

    private func lesserChild(_ heap: Int, of place: Int) -> Int? {
        let left = 2 * place + 1
        guard left < heaps[heap].count else { return nil }
        let isRight = left + 1 < heaps[heap].count && heaps[heap][left + 1].isBefore(heaps[heap][left])
        return isRight ? left + 1 : left
    }

    private mutating func exchange(_ heap: Int, _ left: Int, _ right: Int) {
        heaps[heap].swapAt(left, right)
        places[Int(heaps[heap][left].node)] = Int32(left)
        places[Int(heaps[heap][right].node)] = Int32(right)
    }

    /// Bytes of the heaps.
    var byteCount: Int {
        count * MemoryLayout<Entry>.stride + places.count * (MemoryLayout<Int32>.stride + MemoryLayout<Int8>.stride)
    }

    /// What is wrong with the heaps themselves; empty when nothing is wrong.
    func checkInvariants() -> [String] {
        var faults: [String] = []
        for (number, heap) in heaps.enumerated() {
            for place in heap.indices {
                if place > 0 && heap[place].isBefore(heap[(place - 1) / 2]) {
                    faults.append("an eviction heap is out of order")
                }
                if let found = find(heap[place].node), found == (number, place) { continue }
                faults.append("an eviction heap has lost a node's place")
            }
        }
        if places.count(where: { $0 >= 0 }) != count { faults.append("the eviction order has places without entries") }
        return faults
    }
}
