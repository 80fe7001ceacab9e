// Durations as the numbers that clocks, counters and files hold.

extension Duration {
    /// The whole nanoseconds; as many as fit when it is longer than 292 years.
    package var nanoseconds: Int64 {
        let (seconds, overflows) = components.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        guard !overflows else { return self < .zero ? .min : .max }
        let (sum, passes) = seconds.addingReportingOverflow(components.attoseconds / 1_000_000_000)
        return passes ? (self < .zero ? .min : .max) : sum
    }
}
