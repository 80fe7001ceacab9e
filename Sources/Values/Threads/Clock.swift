// The two clocks: monotonic for durations, wall for what is stored.

internal import Glibc

/// Reads of the system's clocks. Thread-safe.
package enum Clock {
    /// Nanoseconds of a clock that never jumps; only differences mean something.
    package static func monotonicNanoseconds() -> UInt64 { nanoseconds(CLOCK_MONOTONIC) }

    /// Milliseconds since the Unix epoch by the wall clock, which an administrator can set back.
    package static func wallMilliseconds() -> Int64 { Int64(nanoseconds(CLOCK_REALTIME) / 1_000_000) }

    private static func nanoseconds(_ clock: clockid_t) -> UInt64 {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }
}
