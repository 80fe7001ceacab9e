import Glibc
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

    @Test("are dropped when the errands are closed, and their callers told at once")
    func dropped() throws {
        let errands = Errands()
        let mayEnd = Guarded(false)
        let begun = Guarded(0)
        for _ in 0..<Errands.threadLimit {
            _ = errands.begin {
                begun.withLock { $0 += 1 }
                begun.broadcast()
                mayEnd.wait(until: { $0 })
            }
        }
        begun.wait { $0 == Errands.threadLimit }
        let result = Guarded<Int??>(nil)
        let caller = try Thread {
            let answer = errands.run(before: .after(.seconds(600))) { 7 }
            result.withLock { $0 = .some(answer) }
        }
        while errands.waitingCount == 0 { usleep(1000) }
        errands.close()
        caller.join()
        #expect(result.withLock { $0 } == .some(nil))
        mayEnd.withLock { $0 = true }
        mayEnd.broadcast()
    }
}
