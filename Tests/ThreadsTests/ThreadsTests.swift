import Testing

@testable import Threads

@Suite("Threads and clocks")
struct ThreadsTests {
    @Test("a thread runs its body once, and can be joined more than once")
    func joining() throws {
        let runs = Guarded(0)
        let thread = try Thread { runs.withLock { $0 += 1 } }
        thread.join()
        thread.join()
        #expect(runs.withLock { $0 } == 1)
    }

    @Test("the monotonic clock never goes back, and the wall clock is after this was written")
    func clocks() {
        let first = SystemClock.monotonicNanoseconds()
        #expect(SystemClock.monotonicNanoseconds() >= first)
        #expect(SystemClock.wallMilliseconds() > 1_700_000_000_000)
    }
}
