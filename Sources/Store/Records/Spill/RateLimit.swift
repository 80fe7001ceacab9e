// The limit on how much the spill writer stores per second.

/// A rate limit that is paid afterwards: after writing, the caller waits until the average rate is within the limit.
/// Idle time earns no credit, so that a burst never exceeds one batch. A value type that reads no clock: the caller
/// passes the time.
struct RateLimit: Equatable {
    private let bytesPerSecond: Double
    /// When everything written is paid for, in nanoseconds of the caller's clock.
    private var paidAt: UInt64 = 0

    /// A limit of `bytesPerSecond`, 1 or more.
    init(bytesPerSecond: UInt64) { self.bytesPerSecond = Double(max(1, bytesPerSecond)) }

    /// Notes that `bytes` were written at `now`.
    mutating func spend(_ bytes: UInt64, now: UInt64) {
        let nanoseconds = Double(bytes) / bytesPerSecond * 1e9
        // A year is as long as for ever here, and keeps the sum in range.
        paidAt = max(paidAt, now) &+ UInt64(min(nanoseconds, 365 * 86_400e9))
    }

    /// Nanoseconds from `now` until the next bytes may be written; 0 means at once.
    func wait(now: UInt64) -> UInt64 { paidAt > now ? paidAt - now : 0 }
}
