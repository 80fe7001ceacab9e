// History: processes note what they did to one store and what they saw, and all notes together must make sense.

import Foundation
import StoreTestKit
import TestKit

/// A run of processes on one store, and the check of what they noted.
public struct HistoryRun: Sendable {
    /// What came out.
    public struct Tally: Sendable, Equatable {
        /// How many there were.
        public var processes = 0
        /// Events that they noted, by kind.
        public var events: [History.Kind: Int] = [:]
        /// Reads that gave bytes which nobody had put under the key.
        public var wrong = 0
        /// Reads that gave what had been removed before they began.
        public var stale = 0
        /// Reads that did not find what had been flushed and not removed.
        public var missing = 0
        /// Processes that ended otherwise than they should.
        public var broken: [String] = []

        /// Whether nothing was wrong that must not be.
        public var isGood: Bool {
            wrong == 0 && stale == 0 && missing == 0 && broken.isEmpty && (events[.hit] ?? 0) > 0
                && (events[.miss] ?? 0) > 0 && (events[.remove] ?? 0) > 0
        }
    }

    private let worker: String
    private let seed: UInt64
    private let keepsRemoved: Bool

    /// A run from a seed, with the path of `store-worker`. Processes that remember blocks that others have removed are
    /// the broken twin.
    public init(seed: UInt64, worker: String, keepsRemoved: Bool = false) {
        self.seed = seed
        self.worker = worker
        self.keepsRemoved = keepsRemoved
    }

    /// Lets `processes` of them run at once.
    public func run(seconds: Double, processes: Int = 4) throws -> Tally {
        let folder = try TemporaryFolder()
        let environment = keepsRemoved ? ["PFX_LIES": "1"] : [:]
        let workers = try (0..<processes).map { index in
            try Worker(
                executable: worker,
                ["history", folder.path("store"), "\(seconds)", "\(seed)", "\(index)", folder.path("notes-\(index)")],
                environment: environment)
        }
        var tally = Tally()
        tally.processes = processes
        var events: [History.Event] = []
        for (index, worker) in workers.enumerated() {
            let (lines, status) = worker.finish()
            guard status == 0, let notes = FileManager.default.contents(atPath: folder.path("notes-\(index)")) else {
                tally.broken.append("process \(index) ended with \(status): \(lines.last ?? "no output")")
                continue
            }
            events += History.events(notes, process: index)
        }
        check(events, &tally)
        return tally
    }

    private func check(_ events: [History.Event], _ tally: inout Tally) {
        for event in events { tally.events[event.kind, default: 0] += 1 }
        let flushes = Dictionary(grouping: events.filter { $0.kind == .flush }, by: \.process)
            .mapValues { $0.sorted { $0.begin < $1.begin } }
        for (_, own) in Dictionary(grouping: events.filter { $0.kind != .flush }, by: \.key) {
            let timeline = KeyTimeline(own, flushes: flushes)
            for event in own {
                switch event.kind {
                case .hit:
                    switch timeline.judge(hit: event) {
                    case .right: break
                    case .wrong: tally.wrong += 1
                    case .stale: tally.stale += 1
                    }
                case .miss: if timeline.mustBeThere(event) { tally.missing += 1 }
                case .garbled: tally.wrong += 1
                case .put, .remove, .flush: break
                }
            }
        }
    }
}

extension HistoryRun.Tally {
    /// The figures, one line each.
    public var text: String {
        let kinds = events.sorted { $0.key.rawValue < $1.key.rawValue }.map { "\($0.key) \($0.value)" }
        return
            ([
                "processes \(processes), events: \(kinds.joined(separator: ", "))", "wrong \(wrong)", "stale \(stale)",
                "missing \(missing)", "broken \(broken.count)",
            ] + broken.prefix(20)).joined(separator: "\n")
    }
}

/// All that happened to one key, in an order in which a question costs a few steps.
private struct KeyTimeline {
    enum Verdict { case right, wrong, stale }

    /// A put, with the moment from which on it can have no effect any more: the end of its process's next flush.
    private struct Put {
        let value: UInt64
        let begin: UInt64
        let settled: UInt64
    }

    private let puts: [UInt64: Put]
    private let byBegin: [Put]
    /// The latest `settled` of the first puts of `byBegin`.
    private var latestSettled: [UInt64] = []
    /// The earliest `settled` of `byBegin` from each place on.
    private var earliestSettled: [UInt64]
    private let removes: [History.Event]
    /// The earliest end of the removes from each place on, and the latest end of the removes up to each.
    private var earliestEnd: [UInt64]
    private var latestEnd: [UInt64] = []

    init(_ events: [History.Event], flushes: [Int: [History.Event]]) {
        byBegin = events.filter { $0.kind == .put }
            .map { put in
                let own = flushes[put.process] ?? []
                let next = Self.firstIndex(in: own.count) { own[$0].begin >= put.end }
                return Put(value: put.value, begin: put.begin, settled: next < own.count ? own[next].end : .max)
            }
            .sorted { $0.begin < $1.begin }
        puts = Dictionary(byBegin.map { ($0.value, $0) }) { first, _ in first }
        removes = events.filter { $0.kind == .remove }.sorted { $0.begin < $1.begin }
        for put in byBegin { latestSettled.append(max(put.settled, latestSettled.last ?? 0)) }
        earliestSettled = byBegin.map(\.settled)
        for index in earliestSettled.indices.dropLast().reversed() {
            earliestSettled[index] = min(earliestSettled[index], earliestSettled[index + 1])
        }
        earliestEnd = removes.map(\.end)
        for index in earliestEnd.indices.dropLast().reversed() {
            earliestEnd[index] = min(earliestEnd[index], earliestEnd[index + 1])
        }
        for remove in removes { latestEnd.append(max(remove.end, latestEnd.last ?? 0)) }
    }

    /// The first index for which `condition` holds; it holds for all behind it.
    private static func firstIndex(in count: Int, _ condition: (Int) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if condition(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }

    func judge(hit: History.Event) -> Verdict {
        let settled: UInt64
        if hit.value == History.anyValue {
            // A page's bytes follow from its name: any put that began before may have brought it.
            let before = Self.firstIndex(in: byBegin.count) { byBegin[$0].begin >= hit.end }
            guard before > 0 else { return .wrong }
            settled = latestSettled[before - 1]
        } else {
            guard let put = puts[hit.value], put.begin < hit.end else { return .wrong }
            settled = put.settled
        }
        // A remove that began when the put had settled, and ended before the read began, has taken it away.
        let first = Self.firstIndex(in: removes.count) { removes[$0].begin > settled }
        return first < removes.count && earliestEnd[first] < hit.begin ? .stale : .right
    }

    /// Whether something was flushed before the read, and no remove can have taken it away.
    func mustBeThere(_ miss: History.Event) -> Bool {
        let before = Self.firstIndex(in: removes.count) { removes[$0].begin >= miss.end }
        let removed = before > 0 ? latestEnd[before - 1] : 0
        let first = Self.firstIndex(in: byBegin.count) { byBegin[$0].begin >= removed }
        return first < byBegin.count && earliestSettled[first] < miss.begin
    }
}
