// The store's own policy.

internal import PrefixStore

/// The order of both tiers: the leaf that is worth the least goes, by its class, its age, and what was learned of both.
struct StorePolicy: Policy {
    private let trace: Trace
    private var leaves: ClassLeaves
    private var history: UseHistory
    private var uses: [PageUse]
    private var isBranch = false
    private var now: Int64 = 0

    init(trace: Trace, quota: Int) {
        self.trace = trace
        leaves = ClassLeaves(trace: trace)
        history = UseHistory(capacity: quota)
        uses = Array(repeating: PageUse(last: 0), count: trace.pageCount)
    }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        now = time
        let found = path.prefix { leaves.isResident($0) }
        isBranch = found.count < path.count && (found.last.map(leaves.isFollowed) ?? false)
        leaves.begin(path: path, uses)
    }

    mutating func use(_ page: Int32) {
        history.countReturn(of: uses[Int(page)], bytes: trace.bytes(of: page), at: now)
        uses[Int(page)].keep(at: now)
        if isBranch { uses[Int(page)].branch(1) }
    }

    mutating func insert(_ page: Int32) {
        uses[Int(page)] = PageUse(last: now)
        leaves.insert(page, uses)
    }

    mutating func victim() -> Int32? {
        history.learn()
        var worst: (page: Int32, worth: Double)?
        for useClass in 0..<UseHistory.classes {
            guard let page = leaves.first(ofClass: useClass) else { continue }
            let worth = history.worth(ofClass: useClass, age: uses[Int(page)].age(at: now))
            if worth < worst?.worth ?? .infinity { worst = (page, worth) }
        }
        return worst?.page
    }

    mutating func evict(_ page: Int32) {
        history.countEviction(of: uses[Int(page)], bytes: trace.bytes(of: page), at: now)
        leaves.evict(page, uses)
    }
}

/// The leaves of the resident pages, a heap a class; those of the present request's path are not offered.
private struct ClassLeaves {
    private let parents: [Int32]
    private var heaps: [PageHeap]
    private var residentChildren: [Int32]
    private var residents: [Bool]
    private var onPath: [Int32] = []
    private var isOnPath: [Bool]

    init(trace: Trace) {
        parents = trace.parents
        heaps = Array(repeating: PageHeap(pageCount: trace.pageCount), count: UseHistory.classes)
        residentChildren = Array(repeating: 0, count: trace.pageCount)
        residents = Array(repeating: false, count: trace.pageCount)
        isOnPath = residents
    }

    func isResident(_ page: Int32) -> Bool { residents[Int(page)] }

    func isFollowed(_ page: Int32) -> Bool { residentChildren[Int(page)] > 0 }

    func first(ofClass useClass: Int) -> Int32? { heaps[useClass].first }

    mutating func begin(path: [Int32], _ uses: [PageUse]) {
        for page in onPath { isOnPath[Int(page)] = false }
        let released = onPath
        onPath = path
        for page in path {
            isOnPath[Int(page)] = true
            withdraw(page)
        }
        for page in released { offer(page, uses) }
    }

    mutating func insert(_ page: Int32, _ uses: [PageUse]) {
        residents[Int(page)] = true
        let parent = parents[Int(page)]
        if parent >= 0 {
            residentChildren[Int(parent)] += 1
            withdraw(parent)
        }
        offer(page, uses)
    }

    mutating func evict(_ page: Int32, _ uses: [PageUse]) {
        withdraw(page)
        residents[Int(page)] = false
        let parent = parents[Int(page)]
        guard parent >= 0 else { return }
        residentChildren[Int(parent)] -= 1
        offer(parent, uses)
    }

    private mutating func offer(_ page: Int32, _ uses: [PageUse]) {
        let index = Int(page)
        guard residents[index], residentChildren[index] == 0, !isOnPath[index] else { return }
        heaps[uses[index].useClass].set(page, key: uses[index].last)
    }

    private mutating func withdraw(_ page: Int32) {
        for useClass in heaps.indices { heaps[useClass].remove(page) }
    }
}
