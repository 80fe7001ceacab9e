// What the store had first: a count of uses that fades.

internal import Glibc

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
