// What a policy could save if it knew the future: Belady's rule, leaf first.

/// It evicts the leaf whose next use is the farthest; a new page that would be needed later than that is not
/// stored. With pages of one size and one cost this is the optimum, since a page's parent is always needed at least
/// as soon as the page; with two models and costs that grow with the position it is close to it.
struct Belady: Policy {
    private var order: LeafOrder
    private var uses: [[Int32]]
    private var cursors: [Int32]
    private var request: Int32 = 0

    init(trace: Trace, quota: Int) {
        order = LeafOrder(trace: trace)
        uses = Array(repeating: [], count: trace.pageCount)
        cursors = Array(repeating: 0, count: trace.pageCount)
        for (number, request) in trace.requests.enumerated() {
            var page = request.leaf
            while page >= 0 {
                uses[Int(page)].append(Int32(number))
                page = trace.parents[Int(page)]
            }
        }
    }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        self.request = Int32(request)
        order.begin(path: path)
    }

    /// Minus the number of the request that needs the page next.
    private mutating func key(of page: Int32) -> Int64 {
        let index = Int(page)
        while cursors[index] < uses[index].count, uses[index][Int(cursors[index])] <= request { cursors[index] += 1 }
        return cursors[index] < uses[index].count ? -Int64(uses[index][Int(cursors[index])]) : -.max
    }

    mutating func use(_ page: Int32) { order.setKey(page, key(of: page)) }

    mutating func admits(_ page: Int32, instead victim: Int32) -> Bool {
        key(of: page) > order.key(of: victim)
    }

    mutating func insert(_ page: Int32) { order.insert(page, key: key(of: page)) }
    func victim() -> Int32? { order.first }
    mutating func evict(_ page: Int32) { order.evict(page) }
}
