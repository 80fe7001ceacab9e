import Synchronization
import Testing

@testable import Threads

@Suite("A pool")
struct PoolTests {
    /// A thing that counts how many of its kind were made, and who holds it.
    final class Thing: Sendable {
        let number: Int
        let holders = Atomic(0)

        init(_ number: Int) { self.number = number }
    }

    private func pool(_ made: Counter) -> Pool<Thing> { Pool { Thing(made.next()) } }

    final class Counter: Sendable {
        private let count = Atomic(0)
        func next() -> Int { count.add(1, ordering: .relaxed).newValue }
        var value: Int { count.load(ordering: .relaxed) }
    }

    @Test("lends what is idle before it makes another")
    func reuses() {
        let made = Counter()
        let pool = pool(made)
        for _ in 0..<3 { pool.withItem { #expect($0.number == 1) } }
        pool.withItem { first in
            pool.withItem { second in #expect(first !== second) }
        }
        #expect(made.value == 2)
        pool.fill(2)
        #expect(made.value == 4)
    }

    @Test("takes an item back when its borrower throws")
    func throwing() {
        struct Failure: Error {}
        let made = Counter()
        let pool = pool(made)
        for _ in 0..<2 {
            #expect(throws: Failure.self) { try pool.withItem { (_: Thing) throws(Failure) in throw Failure() } }
        }
        #expect(made.value == 1)
    }

    @Test("lends no item to two threads at once")
    func apart() {
        let made = Counter()
        let pool = pool(made)
        let team = Team(helpers: 3)
        team.start()
        let shared = Counter()
        team.forEach(2000) { _ in
            pool.withItem { thing in
                if thing.holders.add(1, ordering: .relaxed).oldValue != 0 { _ = shared.next() }
                thing.holders.subtract(1, ordering: .relaxed)
            }
        }
        team.close()
        #expect(shared.value == 0 && (1...4).contains(made.value))
    }
}
