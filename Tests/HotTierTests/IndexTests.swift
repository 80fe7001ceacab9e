import KVFormat
import Testing
import TestKit

@testable import HotTier

@Suite("The hash index")
struct NodeIndexTests {
    private func node(_ number: Int) -> RadixNode {
        RadixNode(
            hash: .sha256([UInt8(number & 255), UInt8(number >> 8)]), use: PageUse(last: 0), parent: 0,
            depth: 0, space: 0, row: 0, tokenCount: 1)
    }

    @Test("finds what was added and not what was taken out, through growth and collisions", arguments: [1, 2, 3])
    func agreesWithASet(seed: UInt64) {
        var random = SplitMix64(seed: seed)
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
    @Test("gives the oldest of a class first, through moves and removals", arguments: [1, 2, 3])
    func agreesWithASort(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var order = EvictionOrder()
        var places: [Int32: EvictionPlace] = [:]
        for _ in 0..<2_000 {
            let node = Int32.random(in: 0..<100, using: &random)
            if Int.random(in: 0..<3, using: &random) == 0 {
                order.remove(node)
                places[node] = nil
            } else {
                let useClass = Int.random(in: 0..<UseHistory.classes, using: &random)
                let place = EvictionPlace(useClass: useClass, time: .random(in: 0..<50, using: &random))
                order.set(node, place)
                places[node] = place
            }
        }
        #expect(order.checkInvariants() == [])
        for (node, place) in places { #expect(order.place(of: node) == place) }
        // Nothing is known yet, so that the oldest use goes first; of one time the lowest class, then the lowest node.
        let sorted = places.sorted {
            ($0.value.time, $0.value.useClass, $0.key) < ($1.value.time, $1.value.useClass, $1.key)
        }
        let history = UseHistory(capacity: 1)
        var taken: [Int32] = []
        while let first = order.first(at: 100, history) {
            taken.append(first)
            order.remove(first)
        }
        #expect(taken == sorted.map(\.key), "seed \(seed)")
    }
}
