// The store's own policy, and two relatives that show what its parts are worth.

internal import Glibc
internal import PrefixStore

/// The order of both tiers: the leaf with the least use score goes.
struct StorePolicy: Policy {
    private var order: LeafOrder
    private var now: Int64 = 0

    init(trace: Trace, quota: Int) { order = LeafOrder(trace: trace) }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        now = time
        order.begin(path: path)
    }

    mutating func use(_ page: Int32) {
        order.setKey(page, UseScore(milliseconds: order.key(of: page)).used(at: now).milliseconds)
    }

    mutating func insert(_ page: Int32) { order.insert(page, key: UseScore(firstUse: now).milliseconds) }
    func victim() -> Int32? { order.first }
    mutating func evict(_ page: Int32) { order.evict(page) }
}

/// The same, but a request that goes on where a sequence ended gives no credit: only a new branch says that a prefix
/// is shared.
struct BranchPolicy: Policy {
    private var order: LeafOrder
    private var now: Int64 = 0
    private var isBranch = false

    init(trace: Trace, quota: Int) { order = LeafOrder(trace: trace) }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        now = time
        isBranch = path.last(where: order.isResident).map(order.isFollowed) ?? false
        order.begin(path: path)
    }

    mutating func use(_ page: Int32) {
        let score = UseScore(milliseconds: order.key(of: page))
        order.setKey(page, isBranch ? score.used(at: now).milliseconds : max(score.milliseconds, now))
    }

    mutating func insert(_ page: Int32) { order.insert(page, key: UseScore(firstUse: now).milliseconds) }
    func victim() -> Int32? { order.first }
    mutating func evict(_ page: Int32) { order.evict(page) }
}

/// What the store had first: LRFU with a half-life of six hours, in which all uses add up.
struct LRFU: Policy {
    private static let halfLife = 6 * 3_600_000.0
    private var order: LeafOrder
    private var now: Int64 = 0

    init(trace: Trace, quota: Int) { order = LeafOrder(trace: trace) }

    mutating func begin(_ request: Int, path: [Int32], at time: Int64) {
        now = time
        order.begin(path: path)
    }

    mutating func use(_ page: Int32) {
        let old = order.key(of: page)
        let gap = Double(max(old, now) - min(old, now)) / Self.halfLife
        order.setKey(page, max(old, now) + Int64(Self.halfLife * log2(1 + exp2(-gap))))
    }

    mutating func insert(_ page: Int32) { order.insert(page, key: now) }
    func victim() -> Int32? { order.first }
    mutating func evict(_ page: Int32) { order.evict(page) }
}
