// The phases of the benchmark. Each runs in its own process, because only a new process measures what a restart costs.

internal import ArgumentParser
internal import Foundation
internal import PrefixStore

/// A phase.
enum BenchPhase: String, CaseIterable, ExpressibleByArgument {
    /// Writes raw pages to the pages file.
    case pages
    /// Puts all pages into a new store.
    case fill
    /// Opens the store, and looks up sequences that are stored and sequences that are not.
    case restart
    /// Loads all pages while the data file is in the page cache.
    case loadWarm = "load-warm"
    /// Loads all pages while the data file is only on disk.
    case loadCold = "load-cold"
    /// Puts all pages on a remote, and loads them from there into another store.
    case remote
}

/// What `fill` measured. Seconds and bytes.
struct FillResult: Codable {
    /// Until the last insert returned: all pages are readable, and most of them wait for the disk.
    var putSeconds: Double
    /// Until the flush after that returned: all pages are on disk and synced.
    var putFlushSeconds: Double
    var rawBytes, encodedBytes, slotBytes, usedBytes, fileBytes: Int
}

/// What `restart` measured. Seconds.
struct RestartResult: Codable {
    var openSeconds: Double
    /// The first match of the process, including everything that it must read for the first time.
    var firstMatchSeconds: Double
    /// A match of a whole sequence; the median of many.
    var matchSeconds: Double
    /// A match that finds nothing; the median of many.
    var missSeconds: Double
    /// The first page of the process, found and loaded.
    var firstPageSeconds: Double
    var matchedTokens: Int
}

/// What `load` measured. Seconds.
struct LoadResult: Codable {
    var openSeconds, matchSeconds: Double
    /// The first load of the process.
    var loadSeconds: Double
    /// The same load a second time, from a file that is now mapped and in the page cache.
    var againSeconds: Double
    /// The same load with the pages being kept in RAM, in a store that was just opened; and the load after that, from
    /// RAM. 0 when they were not measured.
    var keepSeconds, hotSeconds: Double
    /// A copy of the same number of bytes between two buffers, by one thread and by two.
    var copySeconds, copy2Seconds: Double
    /// The part of the data file that was in the page cache before the load.
    var residentShare: Double
    /// When the first load began and ended, on the clock that all processes share.
    var began, ended: Double
    /// Whether every byte was as inserted.
    var isExact: Bool
    var tokens: Int
}

extension BenchWork {
    /// Puts all pages, and waits until they are on disk.
    func fill() throws -> FillResult {
        let source = try self.source()
        let store = try open(hotCapacity: hotCapacity)
        let space = try store.space(try identity())
        // The benchmark does not measure its own preparations.
        let prompts = sequences.map { (tokens(of: $0), sources($0, in: source)) }
        let start = Stopwatch.now
        for (tokens, pages) in prompts { try space.insert(tokens) { pages[$0] } }
        let put = Stopwatch.now
        try store.flush()
        let flushed = Stopwatch.now
        try store.close()
        let inspector = try StoreInspector(at: folder)
        defer { inspector.close() }
        let info = try inspector.info()
        return FillResult(
            putSeconds: put - start, putFlushSeconds: flushed - start, rawBytes: Int(info.rawBytes.value),
            encodedBytes: Int(info.encodedBytes.value), slotBytes: Int(info.slotBytes.value),
            usedBytes: Int(info.usedBytes.value),
            fileBytes: Int(info.fileBytes.value))
    }

    /// Opens, matches, misses. The hot tier is off, so that every match asks the index on disk.
    func restart() throws -> RestartResult {
        let identity = try self.identity()
        let known = sequences.map { tokens(of: $0) }
        let unknown = (0..<64).map { tokens(of: sequences.upperBound + $0) }
        let target = try PageBuffer(layout.bytesPerPage)
        let start = Stopwatch.now
        let store = try open(hotCapacity: .zero)
        let space = try store.space(identity)
        let opened = Stopwatch.now
        let page = try space.match(Array(known[known.count / 2].prefix(layout.pageSize)))
        _ = try unsafe page.load(into: [PageTarget(target.base, capacity: layout.pageSize)])
        let loaded = Stopwatch.now
        let matchedTokens = try space.match(known[0]).tokenCount
        let matched = Stopwatch.now
        let hits = try (0..<64).map { try matchSeconds(known[$0 % known.count], in: space) }
        let misses = try unknown.map { try matchSeconds($0, in: space) }
        try store.close()
        return RestartResult(
            openSeconds: opened - start, firstMatchSeconds: matched - loaded, matchSeconds: Stopwatch.median(hits),
            missSeconds: Stopwatch.median(misses), firstPageSeconds: loaded - opened, matchedTokens: matchedTokens)
    }

    private func matchSeconds(_ tokens: [TokenID], in space: Space) throws -> Double {
        let start = Stopwatch.now
        let match = try space.match(tokens)
        let seconds = Stopwatch.now - start
        // Ending the match releases its pages, which is not part of finding them.
        _ = match.tokenCount
        return seconds
    }

    /// Loads all pages.
    /// - Parameter time: when to begin, by `Stopwatch.now`. Another process begins at the same time.
    func load(_ phase: BenchPhase, at time: Double) throws -> LoadResult {
        let source = try self.source()
        let target = try self.buffer()
        let copies = (1...2).map { threads in
            Stopwatch.median(
                (0..<3).map { _ in
                    target.copySeconds(from: source, step: layout.bytesPerPage, threads: threads)
                })
        }
        unsafe memset(target.base, 1, target.count)
        if phase == .loadCold { try PageCache.drop(dataFile) }
        let resident = try PageCache.residentShare(of: dataFile)
        let start = Stopwatch.now
        let store = try open(hotCapacity: .zero)
        let space = try store.space(try identity())
        let opened = Stopwatch.now
        let prompts = sequences.map { (tokens(of: $0), targets($0, in: target)) }
        Stopwatch.wait(until: time)
        let began = Stopwatch.now
        let first = try load(prompts, from: space)
        let ended = Stopwatch.now
        let isExact = target.isEqual(to: source)
        let again = try load(prompts, from: space)
        try store.close()
        var hot = (keep: 0.0, load: 0.0)
        if phase == .loadWarm, hotCapacity.value > byteCount { hot = try hotSeconds(prompts) }
        return LoadResult(
            openSeconds: opened - start, matchSeconds: first.match, loadSeconds: first.load,
            againSeconds: again.load, keepSeconds: hot.keep, hotSeconds: hot.load, copySeconds: copies[0],
            copy2Seconds: copies[1],
            residentShare: resident, began: began, ended: ended,
            isExact: isExact && target.isEqual(to: source), tokens: first.tokens)
    }

    /// A load that leaves all pages to be kept in RAM, and one after that is done.
    private func hotSeconds(_ prompts: [([TokenID], [PageTarget])]) throws -> (keep: Double, load: Double) {
        let store = try open(hotCapacity: hotCapacity)
        let space = try store.space(try identity())
        let keep = try load(prompts, from: space).load
        store.finishPromotions()
        let seconds = try load(prompts, from: space).load
        try store.close()
        return (keep, seconds)
    }

    private func load(
        _ prompts: [([TokenID], [PageTarget])], from space: Space
    ) throws -> (match: Double, load: Double, tokens: Int) {
        var sum = (match: 0.0, load: 0.0, tokens: 0)
        for (tokens, targets) in prompts {
            let start = Stopwatch.now
            let match = try space.match(tokens)
            let matched = Stopwatch.now
            sum.tokens += try match.load(into: targets).tokens
            sum.match += matched - start
            sum.load += Stopwatch.now - matched
        }
        return sum
    }
}
