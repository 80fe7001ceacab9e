// Pages by a key, the least first.

/// A binary heap that knows each page's place. At equal keys the page that was numbered last goes first: it is the
/// deeper one.
struct PageHeap {
    private var heap: [Int32] = []
    private var places: [Int32]
    private(set) var keys: [Int64]

    init(pageCount: Int) {
        places = Array(repeating: -1, count: pageCount)
        keys = Array(repeating: 0, count: pageCount)
    }

    var first: Int32? { heap.first }

    /// Adds `page`, or moves it to where `key` belongs.
    mutating func set(_ page: Int32, key: Int64) {
        keys[Int(page)] = key
        if places[Int(page)] < 0 {
            places[Int(page)] = Int32(heap.count)
            heap.append(page)
        }
        settle(Int(places[Int(page)]))
    }

    /// Remembers the key of a page that is not in.
    mutating func note(_ page: Int32, key: Int64) { keys[Int(page)] = key }

    mutating func remove(_ page: Int32) {
        let place = Int(places[Int(page)])
        guard place >= 0 else { return }
        places[Int(page)] = -1
        let last = heap.removeLast()
        guard place < heap.count else { return }
        heap[place] = last
        places[Int(last)] = Int32(place)
        settle(place)
    }

    private func isBefore(_ left: Int32, _ right: Int32) -> Bool {
        let (leftKey, rightKey) = (keys[Int(left)], keys[Int(right)])
        return leftKey == rightKey ? left > right : leftKey < rightKey
    }

    private mutating func settle(_ start: Int) {
        var place = start
        while place > 0, isBefore(heap[place], heap[(place - 1) / 2]) {
            exchange(place, (place - 1) / 2)
            place = (place - 1) / 2
        }
        while true {
            var least = 2 * place + 1
            guard least < heap.count else { return }
            if least + 1 < heap.count, isBefore(heap[least + 1], heap[least]) { least += 1 }
            guard isBefore(heap[least], heap[place]) else { return }
            exchange(place, least)
            place = least
        }
    }

    private mutating func exchange(_ left: Int, _ right: Int) {
        heap.swapAt(left, right)
        places[Int(heap[left])] = Int32(left)
        places[Int(heap[right])] = Int32(right)
    }
}
