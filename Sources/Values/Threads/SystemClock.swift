// The system's two clocks: the monotonic clock for durations, and the wall clock for times that are stored. Also the
// deadline of a wait.

internal import Glibc

/// Reads of the system's clocks. Thread-safe.
package enum SystemClock {
    /// Nanoseconds of a clock that never jumps. Only differences have a meaning.
    package static func monotonicNanoseconds() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

    /// Nanoseconds for which the calling thread has run. Only differences have a meaning.
    package static func threadNanoseconds() -> UInt64 { nanoseconds(CLOCK_THREAD_CPUTIME_ID) }

    /// Milliseconds since the Unix epoch by the wall clock, which an administrator can set back.
    package static func wallMilliseconds() -> Int64 { Int64(nanoseconds(CLOCK_REALTIME) / 1_000_000) }

    private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}

/// A moment of the monotonic clock until which a thread waits.
package struct Deadline: Sendable {
    /// Nanoseconds as `SystemClock.monotonicNanoseconds` counts them.
    package let nanoseconds: UInt64

    /// The moment at which the monotonic clock shows `nanoseconds`.
    package init(nanoseconds: UInt64) { self.nanoseconds = nanoseconds }

    /// Whether the moment has come.
    package var hasPassed: Bool { SystemClock.monotonicNanoseconds() >= nanoseconds }

    /// The earlier of two; nil is the end of time.
    package static func earlier(_ first: Deadline, _ second: Deadline?) -> Deadline {
        second.map { $0.nanoseconds < first.nanoseconds ? $0 : first } ?? first
    }

    /// The moment `duration` from now; now when it is negative, and the end of time when it is too long to count.
    package static func after(_ duration: Duration) -> Deadline {
        let (seconds, attoseconds) = duration.components
        guard seconds >= 0, attoseconds >= 0 else { return Deadline(nanoseconds: SystemClock.monotonicNanoseconds()) }
        let whole = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let end = SystemClock.monotonicNanoseconds()
            .addingReportingOverflow(whole.partialValue &+ UInt64(attoseconds / 1_000_000_000))
        return Deadline(nanoseconds: whole.overflow || end.overflow ? .max : end.partialValue)
    }
}
