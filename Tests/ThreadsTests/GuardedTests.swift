import Testing

@testable import Threads

@Suite("A guarded value")
struct GuardedTests {
    @Test("lets one thread in at a time")
    func mutualExclusion() throws {
        let count = Guarded(0)
        let threads = try (0..<4).map { _ in
            try Thread { for _ in 0..<10_000 { count.withLock { $0 += 1 } } }
        }
        for thread in threads { thread.join() }
        #expect(count.withLock { $0 } == 40_000)
    }

    @Test("gives the lock back when the body throws")
    func throwing() {
        struct Failure: Error {}
        let value = Guarded(1)
        for _ in 0..<2 {
            #expect(throws: Failure.self) { try value.withLock { (_: inout Int) throws(Failure) in throw Failure() } }
            #expect(throws: Failure.self) {
                try value.withLock(when: { $0 == 1 }) { (_: inout Int) throws(Failure) in throw Failure() }
            }
        }
        #expect(value.withLock { $0 } == 1)
    }

    @Test("a thread waits until the value is ready, and has it before it can change again")
    func waits() throws {
        let queue = Guarded<[Int]>([])
        let taken = Guarded<[Int]>([])
        let takers = try (0..<2).map { _ in
            try Thread {
                for _ in 0..<500 {
                    let item = queue.withLock(when: { !$0.isEmpty }) { $0.removeFirst() }
                    taken.withLock { $0.append(item) }
                }
            }
        }
        for item in 0..<1000 {
            queue.withLock { $0.append(item) }
            queue.signal()
        }
        for taker in takers { taker.join() }
        #expect(taken.withLock { $0.sorted() } == Array(0..<1000))
    }

    @Test("a broadcast wakes all that wait, whatever they wait for")
    func broadcast() throws {
        let stage = Guarded(0)
        let threads = try (1...3).map { turn in
            try Thread {
                stage.withLock(when: { $0 == turn }) { $0 += 1 }
                stage.broadcast()
            }
        }
        stage.withLock { $0 = 1 }
        stage.broadcast()
        stage.wait(until: { $0 == 4 })
        for thread in threads { thread.join() }
    }

    @Test("a wait ends at its deadline without a signal, and not before it")
    func deadline() {
        let value = Guarded(0)
        let start = SystemClock.monotonicNanoseconds()
        #expect(!value.wait(until: { $0 == 1 }, before: .after(.milliseconds(30))))
        #expect(SystemClock.monotonicNanoseconds() - start >= 30_000_000)
        #expect(value.withLock(when: { $0 == 1 }, before: .after(.milliseconds(1))) { $0 = 7 } == nil)
        #expect(value.withLock { $0 } == 0)
    }

    @Test("a value that is ready is given out after the deadline too")
    func late() {
        let value = Guarded(1)
        #expect(value.withLock(when: { $0 == 1 }, before: Deadline(nanoseconds: 0)) { $0 + 1 } == 2)
    }

    @Test("a deadline counts from now, and neither a negative nor an endless time overflows it")
    func deadlines() {
        let now = SystemClock.monotonicNanoseconds()
        let later = Deadline.after(.seconds(2) + .nanoseconds(5)).nanoseconds
        #expect(later >= now + 2_000_000_005 && later < now + 60_000_000_000)
        #expect(Deadline.after(.seconds(-5)).nanoseconds >= now)
        #expect(Deadline.after(.seconds(Int64.max)).nanoseconds == .max)
    }
}
