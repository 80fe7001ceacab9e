// The store's own policy.

internal import PrefixStore

/// The order of both tiers: evicts the leaf that is worth the least, by its class and age and what was learned about
/// both.
struct StorePolicy: Policy {
    private let trace: Trace
    private var order: LeafOrder
    private var history: UseHistory
    private var uses: [PageUse]
    private var isBranch = false
    private var now: Int64 = 0

    init(trace: Trace, quota: Int) {
        self.trace = trace
        order = LeafOrder(trace: trace, lists: UseHistory.classes)
        history = UseHistory(capacity: quota)
        uses = Array(repeating: PageUse(last: 0), count: trace.pageCount)
    }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        now = time
        let found = path.prefix { order.isResident($0) }
        isBranch = found.count < path.count && (found.last.map(order.isFollowed) ?? false)
        order.begin(path: path)
    }

    mutating func use(_ page: Int32) {
        history.countReturn(of: uses[Int(page)], bytes: trace.bytes(of: page), at: now)
        uses[Int(page)].keep(at: now)
        if isBranch { uses[Int(page)].branch(1) }
        order.setKey(page, uses[Int(page)].last, list: uses[Int(page)].useClass)
    }

    mutating func insert(_ page: Int32) {
        uses[Int(page)] = PageUse(last: now)
        order.insert(page, key: now)
    }

    mutating func victim() -> Int32? {
        history.learn()
        let useClass = history.classToEvict(at: now) { useClass in
            order.first(inList: useClass).map { uses[Int($0)].last }
        }
        return useClass.flatMap { order.first(inList: $0) }
    }

    mutating func evict(_ page: Int32) {
        history.countEviction(of: uses[Int(page)], bytes: trace.bytes(of: page), at: now)
        order.evict(page)
    }
}
