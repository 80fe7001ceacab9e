import Synchronization
import Testing

@testable import Threads

@Suite("A team of threads")
struct TeamTests {
    /// Counts how often each number was seen.
    final class Tally: Sendable {
        private let numbers = Guarded<[Int: Int]>([:])

        var seen: [Int: Int] { numbers.withLock { $0 } }

        func note(_ number: Int) { numbers.withLock { $0[number, default: 0] += 1 } }
    }

    @Test("calls the body once with each number, whatever its size", arguments: [0, 1, 3])
    func once(helpers: Int) {
        let team = Team(helpers: helpers)
        for count in [0, 1, 2, 7, 500] {
            let tally = Tally()
            team.forEach(count) { tally.note($0) }
            #expect(tally.seen == Dictionary(uniqueKeysWithValues: (0..<count).map { ($0, 1) }))
        }
        team.close()
        team.close()
    }

    @Test("serves many callers at once, and continues without helpers after it is closed")
    func manyCallers() throws {
        let team = Team(helpers: 2)
        let tally = Tally()
        let callers = try (0..<4).map { caller in
            try Thread { for round in 0..<50 { team.forEach(10) { tally.note(caller * 1000 + round * 10 + $0) } } }
        }
        for caller in callers { caller.join() }
        #expect(tally.seen.count == 2000 && tally.seen.values.allSatisfy { $0 == 1 })
        team.close()
        team.forEach(3) { tally.note(-1 - $0) }
        #expect(tally.seen.count == 2003)
    }

    @Test("returns only when all calls have ended")
    func waits() {
        let team = Team(helpers: 3)
        for _ in 0..<200 {
            let done = Atomic(0)
            withExtendedLifetime(done) {
                team.forEach(8) { _ in done.add(1, ordering: .relaxed) }
                #expect(done.load(ordering: .relaxed) == 8)
            }
        }
        team.close()
    }
}
