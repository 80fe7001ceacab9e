// One process that puts sequences, and looks up and loads those that it has put.

internal import Foundation
internal import PrefixStore
internal import Synchronization

/// What a worker measured in one portion of the churn.
struct Portion: Codable {
    /// Bytes of pages, and the seconds until all of them were synced.
    var putBytes = 0
    var putSeconds = 0.0
    /// Milliseconds of look-ups, and of loads of 16 MiB.
    var matches: [Double] = []
    var loads: [Double] = []
    /// The same while the process puts other sequences.
    var busyMatches: [Double] = []
    var busyLoads: [Double] = []
    /// Anonymous memory of the process beyond what the benchmark itself takes, bytes.
    var anonymousBytes = 0
    /// Seconds in which neither put nor look-up nor load ran: making and comparing pages.
    var overheadSeconds = 0.0
    /// Bytes that the store has written by now.
    var encodedBytes = 0
}

/// A worker's state.
@safe
final class ScaleWorker: @unchecked Sendable {
    // Unchecked: a portion's second thread only puts, and the first one only reads meanwhile.
    private let options: ScaleOptions
    private let traffic: Traffic
    private let store: Store
    private let spaces: [Space]
    private let memory: UnsafeMutableRawPointer
    private let baseline: Int
    private var random: Random
    /// Sequences that were put: `0..<next`.
    private var next = 0
    private var portion = Portion()

    init(_ options: ScaleOptions, worker number: Int) throws {
        self.options = options
        traffic = try Traffic(worker: number)
        random = Random(seed: UInt64(number) + 77)
        unsafe memory = .allocate(byteCount: Traffic.sequenceBytes, alignment: 4096)
        unsafe memset(memory, 1, Traffic.sequenceBytes)
        baseline = Self.anonymousBytes
        let opened = try Store(
            at: options.path, options: StoreOptions(quota: options.quota, hotCapacity: options.hotCapacity))
        store = opened
        spaces = try traffic.models.map { try opened.space($0) }
    }

    /// Measures one portion after the other, and tells `report` of each.
    func run(_ report: (Portion) throws -> Void) throws {
        var limit = min(options.portionBytes, 1 << 30)
        var ratio = 1.4
        while Int(store.statistics.spilledEncodedBytes.value) < options.bytesPerWorker {
            portion = Portion()
            let start = now()
            try put(bytes: Int(Double(limit) * ratio))
            (portion.matches, portion.loads) = try read(options.reads, before: next)
            let whole = now() - start
            portion.overheadSeconds =
                whole - portion.putSeconds - (portion.matches.reduce(0, +) + portion.loads.reduce(0, +)) / 1000
            try readWhilePutting()
            portion.anonymousBytes = Self.anonymousBytes - baseline
            let statistics = store.statistics
            portion.encodedBytes = Int(statistics.spilledEncodedBytes.value)
            ratio = Double(statistics.spilledRawBytes.value) / max(1, Double(portion.encodedBytes))
            try report(portion)
            limit = options.portionBytes
        }
        try store.close()
    }

    private func put(bytes: Int) throws {
        while portion.putBytes < bytes {
            try put(next)
            next += 1
        }
        let start = now()
        try store.flush()
        portion.putSeconds += now() - start
    }

    /// Puts what is not there of a sequence, as an engine does.
    private func put(_ number: Int) throws {
        let tokens = traffic.tokens(of: number)
        let space = spaces[traffic.model(of: number)]
        let start = now()
        let match = try space.match(tokens)
        let found = match.tokenCount
        let place = try match.place(behind: found)
        try space.insert(tokens, after: place) { traffic.source(number, page: $0) }
        portion.putSeconds += now() - start
        portion.putBytes += (tokens.count - place.tokens) * space.layout.bytesPerPage / Traffic.pageSize
    }

    /// Looks up and loads `count` of the sequences that were put last before `end`.
    ///
    /// - Returns: milliseconds of all look-ups, and of the loads of those sequences that were found whole.
    private func read(_ count: Int, before end: Int) throws -> (matches: [Double], loads: [Double]) {
        var (matches, loads): ([Double], [Double]) = ([], [])
        let recent = UInt64(max(1, min(end, options.recentSequences)))
        for _ in 0..<count {
            let number = end - 1 - Int(random.next() % recent)
            let tokens = traffic.tokens(of: number)
            let space = spaces[traffic.model(of: number)]
            let pageBytes = space.layout.bytesPerPage
            let start = now()
            let match = try space.match(tokens)
            matches.append((now() - start) * 1000)
            guard match.tokenCount == tokens.count else { continue }
            let targets = (0..<match.pageCount).map { page in
                unsafe PageTarget(memory + page * pageBytes, capacity: Traffic.pageSize)
            }
            let begun = now()
            let loaded = try match.load(into: targets)
            loads.append((now() - begun) * 1000)
            for page in 0..<loaded.tokens / Traffic.pageSize {
                guard unsafe traffic.isPage(number, page: page, at: memory + page * pageBytes) else {
                    throw WrongBytes(sequence: number, page: page)
                }
            }
        }
        return (matches, loads)
    }

    /// Reads while another thread puts.
    private func readWhilePutting() throws {
        let end = next
        let isDone = Atomic(false)
        let putting = DispatchGroup()
        let last = Mutex(end)
        DispatchQueue.global().async(group: putting) { [self] in
            while !isDone.load(ordering: .relaxed) {
                let number = last.withLock { number in
                    defer { number += 1 }
                    return number
                }
                try? insert(number)
            }
        }
        defer {
            isDone.store(true, ordering: .relaxed)
            putting.wait()
            next = last.withLock { $0 }
        }
        (portion.busyMatches, portion.busyLoads) = try read(options.reads / 2, before: end)
    }

    private func insert(_ number: Int) throws {
        let tokens = traffic.tokens(of: number)
        try spaces[traffic.model(of: number)].insert(tokens) { traffic.source(number, page: $0) }
    }

    private static var anonymousBytes: Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon:") }
        return (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) << 10
    }
}

/// The store gave a wrong byte. Then no figure is worth anything.
struct WrongBytes: Error {
    let sequence: Int
    let page: Int
}

/// Seconds on a clock that never jumps.
func now() -> Double {
    var time = timespec()
    unsafe clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}
