import KVFormat
import Testing

@testable import HotTier

/// All orders of `items`.
private func permutations<T>(_ items: [T]) -> [[T]] {
    guard items.count > 1 else { return [items] }
    return items.indices.flatMap { index in
        var rest = items
        let first = rest.remove(at: index)
        return permutations(rest).map { [first] + $0 }
    }
}

private func commonRun(_ left: [TokenID], _ right: [TokenID]) -> Int {
    zip(left, right).prefix { $0 == $1 }.count
}

@Suite("Every small tree")
struct SmallTreeTests {
    /// All runs of 1 to 3 of the ids 0 and 1 but the empty one.
    static let queries: [[TokenID]] = (1...4).flatMap { count in
        (0..<(1 << count)).map { bits in (0..<count).map { TokenID(bits >> $0 & 1) } }
    }

    @Test("of six pages with one token each gives the longest prefix after every insert, in every order")
    func allOrdersOfPages() throws {
        let paths: [[TokenID]] = [[0], [1], [0, 0], [0, 1], [1, 0], [1, 1]]
        for order in permutations(paths) {
            let fixture = try Fixture(in: HotTier(capacity: .kibibytes(64)), layout: Fixture.layout(pageSize: 1))
            var there: Set<[TokenID]> = []
            for path in order {
                let isOrphan = path.count == 2 && !there.contains([path[0]])
                let outcome = fixture.insert(path, page: path.count - 1)
                #expect(outcome == (isOrphan ? .orphan : .inserted), "order \(order)")
                if !isOrphan { there.insert(path) }
            }
            for query in Self.queries {
                let expected = there.map { query.starts(with: $0) ? $0.count : 0 }.max()
                #expect(fixture.matched(query) == expected, "order \(order), query \(query)")
            }
            #expect(fixture.tier.checkInvariants() == [], "order \(order)")
        }
    }

    @Test("of six runs of one or two tokens replaces tails and finds common runs, in every order")
    func allOrdersOfTails() throws {
        let runs: [[TokenID]] = [[0], [1], [0, 0], [0, 1], [1, 0], [1, 1]]
        for order in permutations(runs) {
            let fixture = try Fixture(in: HotTier(capacity: .kibibytes(64)), layout: Fixture.layout(pageSize: 2))
            var there: Set<[TokenID]> = []
            for run in order {
                let isCovered = there.contains { $0.starts(with: run) }
                #expect(fixture.insert(run, page: 0) == (isCovered ? .alreadyThere : .inserted), "order \(order)")
                there = there.filter { !run.starts(with: $0) }
                if !isCovered { there.insert(run) }
                #expect(fixture.tier.statistics.pages == there.count, "order \(order)")
            }
            for query in Self.queries {
                #expect(fixture.matched(query) == there.map { commonRun($0, query) }.max(), "order \(order)")
            }
            #expect(fixture.tier.checkInvariants() == [], "order \(order)")
        }
    }

    @Test("of five siblings stays sound while they go, in every order")
    func allOrdersOfRemoval() throws {
        let runs: [[TokenID]] = [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0]]
        for order in permutations(runs) {
            let fixture = try Fixture(in: HotTier(capacity: .kibibytes(64)), layout: Fixture.layout(pageSize: 2))
            for run in runs { fixture.insert(run) }
            var left = Set(runs)
            for run in order {
                #expect(fixture.tier.remove(fixture.hashes(run)[0]) == 1)
                left.remove(run)
                #expect(fixture.tier.checkInvariants() == [], "order \(order)")
                for query in runs { #expect(fixture.matched(query) == left.map { commonRun($0, query) }.max() ?? 0) }
            }
        }
    }

    @Test("of up to four seats holds the newest chain pages that fit, whatever the length", arguments: 1...4)
    func smallPools(seats: Int) throws {
        for length in 1...6 {
            let fixture = try Fixture(pages: seats)
            let tokens = (0..<TokenID(4 * length)).map { $0 }
            let outcomes = fixture.insert(tokens)
            #expect(outcomes.count { $0 == .inserted } == min(seats, length))
            #expect(fixture.matched(tokens) == 4 * min(seats, length))
            #expect(fixture.tier.checkInvariants() == [])
        }
    }
}
