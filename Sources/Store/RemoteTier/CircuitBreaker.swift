// A server that has failed is left alone for a while.

/// The circuit breaker of a server. A failure opens it. After a pause, which doubles with each further failure, one
/// trial is due; a success closes it.
struct CircuitBreaker: Sendable {
    /// The first pause after a failure, and the longest, in nanoseconds.
    private static let pauses: ClosedRange<UInt64> = 50_000_000...2_000_000_000

    private var failures: UInt64 = 0
    private var retryAt: UInt64 = 0
    private var last: RemoteFault?

    /// Whether nobody is to wait for the server.
    var isOpen: Bool { failures > 0 }
    /// What went wrong last; nil while all is well.
    var fault: RemoteFault? { isOpen ? last : nil }

    /// Whether the server may be tried at this time.
    func allowsTrial(at now: UInt64) -> Bool { !isOpen || now >= retryAt }

    /// Notes a failure. Failures of calls that ran side by side are one failure.
    ///
    /// - Returns: whether it counts.
    mutating func note(_ fault: RemoteFault, at now: UInt64) -> Bool {
        guard allowsTrial(at: now) else { return false }
        let pause = min(Self.pauses.lowerBound << min(failures, 10), Self.pauses.upperBound)
        // Jitter, so that the hosts of a fleet do not come back at the same moment.
        retryAt = now + pause - UInt64.random(in: 0...pause / 4)
        failures += 1
        last = fault
        return true
    }

    /// The server has answered.
    mutating func reset() { failures = 0 }
}
