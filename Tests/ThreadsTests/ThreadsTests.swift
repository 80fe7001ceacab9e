import Testing

@testable import Threads

@Suite("Threads and locks")
struct ThreadsTests {
    /// A counter that only its mutex makes safe.
    final class Counter: @unchecked Sendable {
        let mutex = Mutex()
        let condition = Condition()
        var value = 0
    }

    @Test("a mutex lets one thread in at a time")
    func mutualExclusion() throws {
        let counter = Counter()
        let threads = try (0..<4).map { _ in
            try Thread { for _ in 0..<10_000 { counter.mutex.withLock { counter.value += 1 } } }
        }
        for thread in threads { thread.join() }
        #expect(counter.value == 40_000)
    }

    @Test("a condition wakes the thread that waits for it")
    func wakesWaiter() throws {
        let counter = Counter()
        let waiter = try Thread {
            counter.mutex.withLock {
                while counter.value == 0 { counter.condition.wait(counter.mutex) }
                counter.value = 7
            }
        }
        counter.mutex.withLock {
            counter.value = 1
            counter.condition.signal()
        }
        waiter.join()
        waiter.join()
        #expect(counter.value == 7)
    }

    @Test("a wait with a deadline ends without a signal")
    func waitTimesOut() {
        let counter = Counter()
        let signalled = counter.mutex.withLock { counter.condition.wait(counter.mutex, milliseconds: 1_005) }
        #expect(!signalled)
    }

    @Test("the monotonic clock never goes back, and the wall clock is after this was written")
    func clocks() {
        let first = SystemClock.monotonicNanoseconds()
        #expect(SystemClock.monotonicNanoseconds() >= first)
        #expect(SystemClock.wallMilliseconds() > 1_700_000_000_000)
    }
}
