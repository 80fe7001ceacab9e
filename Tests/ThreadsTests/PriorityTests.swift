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

    @Test("runs below the priority of its starter, whose priority does not change")
    func standsBack() throws {
        let before = Self.standing
        let seen = Guarded<[[Int32]]>([])
        try Thread(priority: .background) { seen.withLock { $0.append(Self.standing) } }.join()
        try Thread { seen.withLock { $0.append(Self.standing) } }.join()
        #expect(seen.withLock { $0 } == [[min(19, before[0] + 10), 3], before])
        #expect(Self.standing == before)
    }

    @Test("can help a team, too")
    func helps() {
        let team = Team(helpers: 2, priority: .background)
        let seen = Guarded<[[Int32]]>([])
        team.forEach(100) { number in seen.withLock { $0.append([Int32(number)]) } }
        team.close()
        #expect(Set(seen.withLock { $0 }) == Set((0..<100).map { [$0] }))
    }
}
