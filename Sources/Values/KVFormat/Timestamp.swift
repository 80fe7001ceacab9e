// A moment in time, without a calendar library.

/// A moment to the millisecond, counted from the Unix epoch: 1970-01-01, 0:00 UTC.
public struct Timestamp: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// Milliseconds since the epoch.
    public let milliseconds: Int64

    /// The moment `milliseconds` after the epoch.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The order in time.
    public static func < (left: Timestamp, right: Timestamp) -> Bool { left.milliseconds < right.milliseconds }

    /// The moment `duration` later, to the millisecond; the last or first moment there is when it lies beyond that.
    public static func + (left: Timestamp, duration: Duration) -> Timestamp {
        let (seconds, attoseconds) = duration.components
        let (whole, overflows) = seconds.multipliedReportingOverflow(by: 1000)
        guard !overflows else { return Timestamp(milliseconds: seconds < 0 ? .min : .max) }
        let (added, passes) = whole.addingReportingOverflow(attoseconds / 1_000_000_000_000_000)
        let (sum, leaves) = left.milliseconds.addingReportingOverflow(added)
        return Timestamp(milliseconds: passes || leaves ? (seconds < 0 ? .min : .max) : sum)
    }

    /// `"2026-11-28T22:41:19Z"`: the second, in UTC, as ISO 8601 writes it.
    public var description: String {
        let seconds = milliseconds / 1000 - (milliseconds % 1000 < 0 ? 1 : 0)
        let days = seconds >= 0 ? seconds / 86_400 : (seconds - 86_399) / 86_400
        // Years that begin with March, so that the leap day is the last of its year; 400 of them have 146,097 days.
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let day = shifted - era * 146_097
        let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * year + year / 4 - year / 100)
        let month = (5 * dayOfYear + 2) / 153
        let dayOfMonth = dayOfYear - (153 * month + 2) / 5 + 1
        let time = seconds - days * 86_400
        let parts = [(month + 2) % 12 + 1, dayOfMonth, time / 3600, time / 60 % 60, time % 60].map {
            $0 < 10 ? "0\($0)" : "\($0)"
        }
        let calendarYear = era * 400 + year + (month < 10 ? 0 : 1)
        return "\(calendarYear)-\(parts[0])-\(parts[1])T\(parts[2]):\(parts[3]):\(parts[4])Z"
    }
}
