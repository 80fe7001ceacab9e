// Durations on the command line.

internal import ArgumentParser

/// `90s`, `30m`, `12h` or `7d`.
struct DurationArgument: ExpressibleByArgument, Equatable {
    /// The duration in milliseconds; up to a hundred years.
    var milliseconds: Int64

    private static let units: [Character: Int64] = ["s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
    private static let longest: Int64 = 100 * 366 * 86_400_000

    init?(argument: String) {
        guard let unit = argument.last.flatMap({ Self.units[$0] }), let count = Int64(argument.dropLast()), count > 0,
            count <= Self.longest / unit
        else { return nil }
        milliseconds = count * unit
    }
}
