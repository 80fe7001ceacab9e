// The lock that writers of all processes take before LMDB's own, because it tells who holds it.

import Glibc
import Threads

/// A record lock on a byte of the data file, far behind its end. The system releases it when its process ends, and
/// names the process to others.
///
/// A second byte is whose turn is next. Whoever takes the lock has the turn first, and gives it back with the lock
/// taken. So a process that writes all the time cannot take the lock again before one that waits for it.
///
/// LMDB's own lock stays what protects the data: another program that uses LMDB does not know this one. (A process
/// would lose this one by closing some descriptor of the data file; `OpenFile.shared` sees to it that there is only
/// one.) With this lock in front, a writer waits for the writers of
/// other processes outside of LMDB, where a wait can be given up.
enum WriterLock {
    private static let place = off_t.max - 1
    private static let turn = off_t.max - 3

    /// Takes the lock, which this process must not hold, and waits for it as long as it takes. It is the process's:
    /// only one of its threads may use it.
    static func take(_ descriptor: Int32) {
        waiting.withLock { $0[descriptor] = SystemClock.monotonicNanoseconds() }
        wait(descriptor, turn)
        wait(descriptor, place)
        unlock(descriptor, turn)
        waiting.withLock { $0[descriptor] = nil }
    }

    /// When threads of this process began to wait for the lock, on the monotonic clock, by the file's descriptor.
    private static let waiting = Guarded<[Int32: UInt64]>([:])
    /// Nanoseconds after which a wait is no longer one for a batch.
    private static let hesitation: UInt64 = 800_000_000

    /// Whether a thread of this process has been waiting for a writer of another process for a while.
    static var isHeldUp: Bool {
        let now = SystemClock.monotonicNanoseconds()
        return waiting.withLock { $0.values.contains { now &- $0 > hesitation } }
    }

    /// Gives the lock back.
    static func release(_ descriptor: Int32) { unlock(descriptor, place) }

    /// The process that holds the lock, or else has the turn, other than this one; nil when none does that this process
    /// can see.
    static func holder(_ descriptor: Int32) -> Int32? { owner(descriptor, place) ?? owner(descriptor, turn) }

    private static func wait(_ descriptor: Int32, _ place: off_t) {
        var range = range(place, F_WRLCK)
        // What else may fail (no room for locks, say) leaves LMDB's own lock to wait for.
        while unsafe fcntl(descriptor, F_SETLKW, &range) != 0, errno == EINTR {}
    }

    private static func unlock(_ descriptor: Int32, _ place: off_t) {
        var range = range(place, F_UNLCK)
        unsafe _ = fcntl(descriptor, F_SETLK, &range)
    }

    private static func owner(_ descriptor: Int32, _ place: off_t) -> Int32? {
        var range = range(place, F_WRLCK)
        guard unsafe fcntl(descriptor, F_GETLK, &range) == 0, range.l_type != Int16(F_UNLCK), range.l_pid > 0 else {
            return nil
        }
        return range.l_pid
    }

    private static func range(_ place: off_t, _ type: Int32) -> flock {
        flock(l_type: Int16(type), l_whence: Int16(SEEK_SET), l_start: place, l_len: 1, l_pid: 0)
    }
}
