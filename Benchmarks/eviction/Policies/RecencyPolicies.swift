// Least recently used: as most caches do it, and leaf first.

/// LRU over single pages: what a folder of files with an LRU by time of use does. A request uses its pages from the
/// first to the last, so that the first is the oldest; when it goes, those behind it stay for a while and can't be
/// reached.
struct LRU: Policy {
    private var heap: PageHeap
    private var clock: Int64 = 0
    private var onPath: [Int32] = []
    private var isOnPath: [Bool]
    private var isResident: [Bool]

    init(trace: Trace, quota: Int) {
        heap = PageHeap(pageCount: trace.pageCount)
        isOnPath = Array(repeating: false, count: trace.pageCount)
        isResident = isOnPath
    }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        for page in onPath {
            isOnPath[Int(page)] = false
            if isResident[Int(page)] { heap.set(page, key: heap.keys[Int(page)]) }
        }
        onPath = path
        for page in path {
            isOnPath[Int(page)] = true
            heap.remove(page)
        }
    }

    mutating func use(_ page: Int32) { touch(page) }

    mutating func insert(_ page: Int32) {
        isResident[Int(page)] = true
        touch(page)
    }

    private mutating func touch(_ page: Int32) {
        clock += 1
        heap.note(page, key: clock)
    }

    func victim() -> Int32? { heap.first }

    mutating func evict(_ page: Int32) {
        heap.remove(page)
        isResident[Int(page)] = false
    }
}

/// LRU of whole paths: among the pages that no page follows the one whose last request is the oldest.
struct LeafLRU: Policy {
    private var order: LeafOrder
    private var now: Int64 = 0

    init(trace: Trace, quota: Int) { order = LeafOrder(trace: trace) }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        now = Int64(request)
        order.begin(path: path)
    }

    mutating func use(_ page: Int32) { order.setKey(page, now) }
    mutating func insert(_ page: Int32) { order.insert(page, key: now) }
    func victim() -> Int32? { order.first }
    mutating func evict(_ page: Int32) { order.evict(page) }
}
