// The order of all leaf-first policies.

/// The leaves of the resident pages by key, in one list or several: what all leaf-first policies share. A page that
/// another follows isn't offered, nor is one of the present request's path.
struct LeafOrder {
    private let parents: [Int32]
    private var heaps: [PageHeap]
    private var keys: [Int64]
    private var lists: [Int8]
    private var residentChildren: [Int32]
    private var residents: [Bool]
    private var onPath: [Int32] = []
    private var isOnPath: [Bool]

    init(trace: Trace, lists count: Int = 1) {
        parents = trace.parents
        heaps = Array(repeating: PageHeap(pageCount: trace.pageCount), count: count)
        keys = Array(repeating: 0, count: trace.pageCount)
        lists = Array(repeating: 0, count: trace.pageCount)
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
            withdraw(page)
        }
        for page in released { offer(page) }
    }

    func key(of page: Int32) -> Int64 { keys[Int(page)] }

    func isResident(_ page: Int32) -> Bool { residents[Int(page)] }

    /// Whether a page that is there follows `page`.
    func isFollowed(_ page: Int32) -> Bool { residentChildren[Int(page)] > 0 }

    mutating func setKey(_ page: Int32, _ key: Int64, list: Int = 0) {
        if lists[Int(page)] != list { withdraw(page) }
        keys[Int(page)] = key
        lists[Int(page)] = Int8(list)
        offer(page)
    }

    mutating func insert(_ page: Int32, key: Int64) {
        keys[Int(page)] = key
        lists[Int(page)] = 0
        residents[Int(page)] = true
        let parent = parents[Int(page)]
        if parent >= 0 {
            residentChildren[Int(parent)] += 1
            withdraw(parent)
        }
        offer(page)
    }

    var first: Int32? { heaps[0].first }

    func first(inList list: Int) -> Int32? { heaps[list].first }

    mutating func evict(_ page: Int32) {
        withdraw(page)
        residents[Int(page)] = false
        let parent = parents[Int(page)]
        guard parent >= 0 else { return }
        residentChildren[Int(parent)] -= 1
        offer(parent)
    }

    private mutating func offer(_ page: Int32) {
        let index = Int(page)
        guard residents[index], residentChildren[index] == 0, !isOnPath[index] else { return }
        heaps[Int(lists[index])].set(page, key: keys[index])
    }

    private mutating func withdraw(_ page: Int32) { heaps[Int(lists[Int(page)])].remove(page) }
}
