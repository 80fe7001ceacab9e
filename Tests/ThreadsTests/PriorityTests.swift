import Glibc
import Testing

@testable import Threads

@Suite("A background thread")
struct PriorityTests {
    /// What the system says of the calling thread.
    private static var standing: [Int32] {
        // `SCHED_BATCH` is 3; 0 is the calling thread.
        [getpriority(__priority_which_t(0), 0), sched_getscheduler(0)]
    }

    @Test("stands back behind its starter, which stays as it is")
    func standsBack() throws {
        let before = Self.standing
        let seen = Seen()
        try Thread(priority: .background) { seen.note(Self.standing) }.join()
        try Thread { seen.note(Self.standing) }.join()
        #expect(seen.all == [[min(19, before[0] + 10), 3], before])
        #expect(Self.standing == before)
    }

    @Test("can help a team, too")
    func helps() {
        let team = Team(helpers: 2, priority: .background)
        let seen = Seen()
        team.forEach(100) { seen.note([Int32($0)]) }
        team.close()
        #expect(Set(seen.all) == Set((0..<100).map { [$0] }))
    }

    private final class Seen: @unchecked Sendable {
        // Unchecked because the list is touched under the mutex.
        private let mutex = Mutex()
        private var list: [[Int32]] = []

        var all: [[Int32]] { mutex.withLock { list } }

        func note(_ numbers: [Int32]) { mutex.withLock { list.append(numbers) } }
    }
}
