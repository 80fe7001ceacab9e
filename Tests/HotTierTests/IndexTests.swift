import KVFormat
import Testing

@testable import HotTier

@Suite("The hash index")
struct NodeIndexTests {
    private func node(_ number: Int) -> RadixNode {
        RadixNode(
            hash: .sha256([UInt8(number & 255), UInt8(number >> 8)]), use: PageUse(last: 0), parent: 0,
            depth: 0, space: 0, slot: 0, tokenCount: 1)
    }

    @Test("finds what was added and not what was taken out, through growth and collisions", arguments: [1, 2, 3])
    func agreesWithASet(seed: UInt64) {
        var random = Seeded(seed)
        let nodes = (0..<600).map { node($0) }
        var index = NodeIndex()
        var there: Set<Int> = []
        for _ in 0..<3_000 {
            let number = Int.random(in: 0..<nodes.count, using: &random)
            if there.remove(number) != nil {
                index.remove(nodes[number].hash, Int32(number))
            } else {
                there.insert(number)
                index.insert(nodes[number].hash, Int32(number))
            }
        }
        #expect(index.count == there.count)
        for number in nodes.indices {
            let expected = there.contains(number) ? Int32(number) : RadixNode.none
            #expect(index.node(nodes[number].hash, in: nodes) == expected, "seed \(seed)")
        }
    }
}

@Suite("The eviction order")
struct EvictionOrderTests {
    @Test("gives the lowest key first, through moves and removals", arguments: [1, 2, 3])
    func agreesWithASort(seed: UInt64) {
        var random = Seeded(seed)
        var order = EvictionOrder()
        var keys: [Int32: Int64] = [:]
        for _ in 0..<2_000 {
            let node = Int32.random(in: 0..<100, using: &random)
            if Int.random(in: 0..<3, using: &random) == 0 {
                order.remove(node)
                keys[node] = nil
            } else {
                let key = Int64.random(in: 0..<50, using: &random)
                order.set(node, key: key)
                keys[node] = key
            }
        }
        #expect(order.checkInvariants() == [])
        for (node, key) in keys { #expect(order.key(at: node) == key) }
        let sorted = keys.sorted { ($0.value, $0.key) < ($1.value, $1.key) }.map(\.key)
        var taken: [Int32] = []
        while let first = order.first {
            taken.append(first)
            order.remove(first)
        }
        #expect(taken == sorted, "seed \(seed)")
    }
}
