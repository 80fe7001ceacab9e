import Testing

@testable import Threads

@Suite("Errands that nobody waits for any more")
struct ErrandWaitTests {
    @Test("are not kept, however many callers give up while all threads are busy")
    func givenUp() {
        let errands = Errands()
        let mayEnd = Guarded(false)
        for _ in 0..<Errands.threadLimit { _ = errands.begin { mayEnd.wait(until: { $0 }) } }
        for _ in 0..<100 { #expect(errands.run(before: .after(.zero)) { 1 } == nil) }
        // The threads may not have taken their own errands yet.
        #expect(errands.waitingCount <= Errands.threadLimit)
        mayEnd.withLock { $0 = true }
        mayEnd.broadcast()
        #expect(errands.run(before: .after(.seconds(600))) { 7 } == 7)
        errands.close()
    }
}
