// Time on the clock and on the CPUs.

import Glibc

/// How long something took.
struct Measure {
    /// Seconds that passed.
    var seconds: Double
    /// CPU seconds of all threads of this process: the measure to use on a machine that others use too.
    var cpuSeconds: Double

    static let worst = Measure(seconds: .infinity, cpuSeconds: .infinity)

    static func of(_ body: () -> Void) -> Measure {
        let began = (now(CLOCK_MONOTONIC), now(CLOCK_PROCESS_CPUTIME_ID))
        body()
        return Measure(
            seconds: now(CLOCK_MONOTONIC) - began.0, cpuSeconds: now(CLOCK_PROCESS_CPUTIME_ID) - began.1)
    }

    private static func now(_ clock: clockid_t) -> Double {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }

    mutating func improve(_ other: Measure) {
        seconds = min(seconds, other.seconds)
        cpuSeconds = min(cpuSeconds, other.cpuSeconds)
    }

    func rate(_ tokens: Int) -> Double { (Double(tokens) / seconds).rounded() }

    static func + (a: Measure, b: Measure) -> Measure {
        Measure(seconds: a.seconds + b.seconds, cpuSeconds: a.cpuSeconds + b.cpuSeconds)
    }
}
