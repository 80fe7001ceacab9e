// The table.

internal import Foundation
internal import PrefixStore

/// Rows, and what all of them add up to.
struct Report {
    private var putRates: [Double] = []
    private var overhead = 0.0
    private var measured = 0.0
    private var worst = (file: 0.0, anonymous: 0)

    static func head(_ options: ScaleOptions) -> String {
        """
        quota \(options.quota), written over \(options.churn) times by \(options.processes) processes, hot tiers of \
        \(options.hotCapacity); milliseconds are p50 / p99 / worst, loads are of 16 MiB

        | written, of the quota | put, GB/s | match | load | match while putting | load while putting | hits | file, of the quota | anonymous |
        | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |
        """
    }

    /// The row of one portion of the churn: that of each process.
    mutating func row(_ portions: [Portion], fileBytes: Int, of options: ScaleOptions) -> String {
        let quota = Double(options.quota.value)
        let rate = portions.reduce(0) { $0 + Double($1.putBytes) / $1.putSeconds } / 1e9
        let file = Double(fileBytes) / quota
        let anonymous = portions.map(\.anonymousBytes).max() ?? 0
        putRates.append(rate)
        overhead += portions.reduce(0) { $0 + $1.overheadSeconds }
        measured += portions.reduce(0) { $0 + $1.putSeconds + ($1.matches.reduce(0, +) + $1.loads.reduce(0, +)) / 1000 }
        worst = (max(worst.file, file), max(worst.anonymous, anonymous))
        let looks = portions.reduce(0) { $0 + $1.matches.count }
        let cells = [
            Self.number(Double(portions.reduce(0) { $0 + $1.encodedBytes }) / quota), Self.number(rate),
            Self.spread(portions.flatMap(\.matches)), Self.spread(portions.flatMap(\.loads)),
            Self.spread(portions.flatMap(\.busyMatches)), Self.spread(portions.flatMap(\.busyLoads)),
            Self.number(Double(portions.reduce(0) { $0 + $1.loads.count }) / Double(max(1, looks))), Self.number(file),
            "\(anonymous >> 20) MiB",
        ]
        return "| \(cells.joined(separator: " | ")) |"
    }

    func summary(_ options: ScaleOptions) -> String {
        let bound = (options.hotCapacity.value + StoreOptions().queueCapacity.value) >> 20
        return """

            put at the end: \(Self.number((putRates.last ?? 0) / (putRates.first ?? 1))) of the first portion's rate; file \
            at most \(Self.number(worst.file)) of the quota; anonymous memory at most \(worst.anonymous >> 20) MiB, where \
            hot capacity and queue are \(bound) MiB; making and comparing pages: \
            \(Self.number(overhead / max(measured, 1e-9))) of the time that was measured.
            """
    }

    /// Median, 99th percentile and worst.
    private static func spread(_ times: [Double]) -> String {
        let sorted = times.sorted()
        guard let worst = sorted.last else { return "-" }
        return [sorted[sorted.count / 2], sorted[sorted.count * 99 / 100], worst].map(number).joined(separator: " / ")
    }

    /// Three digits.
    static func number(_ value: Double) -> String {
        String(format: value >= 100 ? "%.0f" : value >= 10 ? "%.1f" : value >= 1 ? "%.2f" : "%.3f", value)
    }
}
