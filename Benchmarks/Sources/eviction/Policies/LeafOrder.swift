// The order of all leaf-first policies.

/// The leaves of the resident pages by key: what all leaf-first policies share. A page that another follows isn't
/// offered, nor is one of the present request's path.
struct LeafOrder {
    private let parents: [Int32]
    private var heap: PageHeap
    private var keys: [Int64]
    private var residentChildren: [Int32]
    private var residents: [Bool]
    private var onPath: [Int32] = []
    private var isOnPath: [Bool]

    init(trace: Trace) {
        parents = trace.parents
        heap = PageHeap(pageCount: trace.pageCount)
        keys = Array(repeating: 0, count: trace.pageCount)
        residentChildren = Array(repeating: 0, count: trace.pageCount)
        residents = Array(repeating: false, count: trace.pageCount)
        isOnPath = residents
    }

    /// The last request's pages can be evicted again, those of `path` can't.
    mutating func begin(path: [Int32]) {
        for page in onPath { isOnPath[Int(page)] = false }
        let released = onPath
        onPath = path
        for page in path {
            isOnPath[Int(page)] = true
            heap.remove(page)
        }
        for page in released { offer(page) }
    }

    func key(of page: Int32) -> Int64 { keys[Int(page)] }

    func isResident(_ page: Int32) -> Bool { residents[Int(page)] }

    /// Whether a page that is there follows `page`.
    func isFollowed(_ page: Int32) -> Bool { residentChildren[Int(page)] > 0 }

    mutating func setKey(_ page: Int32, _ key: Int64) {
        keys[Int(page)] = key
        offer(page)
    }

    mutating func insert(_ page: Int32, key: Int64) {
        keys[Int(page)] = key
        residents[Int(page)] = true
        let parent = parents[Int(page)]
        if parent >= 0 {
            residentChildren[Int(parent)] += 1
            heap.remove(parent)
        }
        offer(page)
    }

    var first: Int32? { heap.first }

    mutating func evict(_ page: Int32) {
        heap.remove(page)
        residents[Int(page)] = false
        let parent = parents[Int(page)]
        guard parent >= 0 else { return }
        residentChildren[Int(parent)] -= 1
        offer(parent)
    }

    private mutating func offer(_ page: Int32) {
        let index = Int(page)
        if residents[index], residentChildren[index] == 0, !isOnPath[index] { heap.set(page, key: keys[index]) }
    }
}
