// How pages are used, and what is learned of it.

import KVFormat
import Testing

@Suite("The use of a page")
struct PageUseTests {
    static let now: Int64 = 1_800_000_000_000

    @Test("does not fall when the clock goes back")
    func clockBack() {
        var use = PageUse(last: Self.now)
        use.keep(at: Self.now - 3_600_000)
        #expect(use.last == Self.now)
        use.keep(at: Self.now + 1)
        #expect(use.last == Self.now + 1)
        #expect(use.age(at: Self.now) == 0)
        #expect(use.age(at: Self.now + 11) == 10)
        #expect(PageUse.age(of: .min, at: Self.now) == .max)
        #expect(PageUse.age(of: .max, at: -Self.now) == 0)
    }

    @Test("forgets a use from an impossible future")
    func clockJump() {
        var use = PageUse(last: Self.now + 400 * 86_400_000)
        use.keep(at: Self.now)
        #expect(use.last == Self.now)
    }

    @Test("is of a class by the branches: 0, 1, 2, 4, 8, 16 and more")
    func classes() {
        let expected: [UInt16: Int] = [0: 0, 1: 1, 2: 2, 3: 2, 4: 3, 7: 3, 8: 4, 15: 4, 16: 5, 17: 5, .max: 5]
        for (branches, useClass) in expected { #expect(PageUse(last: 0, branches: branches).useClass == useClass) }
        var use = PageUse(last: 0, branches: 65_000)
        use.branch(1_000)
        #expect(use.branches == .max)
    }
}

@Suite("What is learned of uses")
struct UseHistoryTests {
    static let now: Int64 = 1_800_000_000_000
    static let page = 1 << 20

    private func seeded(_ state: inout UInt64, below bound: Int) -> Int {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Int(state >> 33) % bound
    }

    /// `returns` of 100 pages of a class come back at `age`, the rest is evicted at `end`.
    private func teach(_ history: inout UseHistory, branches: UInt16, returns: Int, at age: Int64, end: Int64) {
        let use = PageUse(last: Self.now, branches: branches)
        for number in 0..<100 {
            if number < returns {
                history.countReturn(of: use, bytes: Self.page, at: Self.now + age)
            } else {
                history.countEviction(of: use, bytes: Self.page, at: Self.now + end)
            }
        }
    }

    @Test("orders pages by their last use as long as nothing is known")
    func recency() {
        let history = UseHistory(capacity: 100 * Self.page)
        var before = Double.infinity
        for age in stride(from: Int64(0), to: 40 * 86_400_000, by: 3_600_000) {
            let worths = (0..<UseHistory.classes).map { history.worth(ofClass: $0, age: age) }
            #expect(worths.allSatisfy { $0 == worths[0] && $0 < before && $0 > 0 })
            before = worths[0]
        }
    }

    @Test("orders pages by their last use where nothing comes back, however much was evicted")
    func nothingReturns() {
        var history = UseHistory(capacity: 100 * Self.page)
        for _ in 0..<10 { teach(&history, branches: 0, returns: 0, at: 0, end: 60_000) }
        history.learn()
        for useClass in 0..<UseHistory.classes {
            let worths = [0, 1_000, 60_000, 3_600_000].map { history.worth(ofClass: useClass, age: $0) }
            #expect(worths == worths.sorted(by: >) && Set(worths).count == 4 && worths[3] > 0)
        }
    }

    @Test("prefers the class that comes back, at any age that was seen and long after")
    func sharedPagesWin() {
        var history = UseHistory(capacity: 100 * Self.page)
        for _ in 0..<10 {
            teach(&history, branches: 20, returns: 90, at: 30_000, end: 120_000)
            teach(&history, branches: 0, returns: 5, at: 30_000, end: 120_000)
        }
        history.learn()
        for age in [0, 5_000, 20_000, 60_000, 300_000, 3_600_000] as [Int64] {
            #expect(history.worth(ofClass: 5, age: age) > history.worth(ofClass: 0, age: age), "age \(age)")
        }
        // Ten minutes without a use say less against a shared page than ten seconds against a single one.
        #expect(history.worth(ofClass: 5, age: 600_000) < history.worth(ofClass: 5, age: 10_000))
    }

    @Test("follows a traffic that changes")
    func forgets() {
        var history = UseHistory(capacity: 100 * Self.page)
        for _ in 0..<10 { teach(&history, branches: 1, returns: 90, at: 30_000, end: 120_000) }
        history.learn()
        let before = history.worth(ofClass: 1, age: 20_000)
        for _ in 0..<100 { teach(&history, branches: 1, returns: 1, at: 30_000, end: 120_000) }
        history.learn()
        #expect(history.worth(ofClass: 1, age: 20_000) < before / 10)
    }

    @Test("keeps worths finite and positive, and reads back what it wrote", arguments: 1...8)
    func random(seed: Int) throws {
        var state = UInt64(seed)
        let capacity = 1 + seeded(&state, below: 1 << 30)
        var history = UseHistory(capacity: capacity)
        for _ in 0..<5_000 {
            let use = PageUse(last: Self.now, branches: UInt16(seeded(&state, below: 40)))
            let when = Self.now + Int64(1) << Int64(seeded(&state, below: 42)) - 5
            if seeded(&state, below: 2) == 0 {
                history.countReturn(of: use, bytes: seeded(&state, below: 1 << 24), at: when)
            } else {
                history.countEviction(of: use, bytes: seeded(&state, below: 1 << 24), at: when)
            }
        }
        history.learn()
        history = try #require(UseHistory(capacity: capacity, counts: history.counts))
        history.learn()
        var again = try #require(UseHistory(capacity: capacity, counts: history.counts))
        again.learn()
        for useClass in 0..<UseHistory.classes {
            for power in Int64(0)..<50 {
                let worth = history.worth(ofClass: useClass, age: 1 << power)
                #expect(worth.isFinite && worth > 0, "seed \(seed)")
                #expect(worth == again.worth(ofClass: useClass, age: 1 << power), "seed \(seed)")
            }
        }
        #expect(UseHistory(capacity: capacity, counts: []) == nil)
        for wrong in [-1, Float.nan, .infinity] {
            var counts = history.counts
            counts[7] = wrong
            #expect(UseHistory(capacity: capacity, counts: counts) == nil)
        }
    }
}
