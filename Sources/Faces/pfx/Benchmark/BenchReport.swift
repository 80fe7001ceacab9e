// The results of the benchmark, for people and for programs: medians, rates, the break-even.

internal import Foundation
internal import PrefixStore

/// A rate of moving page bytes.
struct BenchRate: Encodable {
    /// What was measured, as people read it.
    var step: String
    /// Seconds for all bytes.
    var seconds: Double
    /// 10^9 bytes of raw pages per second.
    var gigabytesPerSecond: Double
    /// The rate as a part of one-thread `memcpy` in the same processes.
    var ofMemcpy: Double
}

/// The report. Seconds and bytes; every number is the median of the repetitions.
struct BenchReport: Encodable {
    var model, element, codec, pages, processor, system: String
    var layers, kvHeads, keyDimension, valueDimension, pageTokens, pageBytes, pageCount, tokens, rawBytes: Int
    var repeats, cores: Int
    /// The load average before the run, because the run itself must not count as other work.
    var loadAverage: Double
    var rates: [BenchRate]
    var openSeconds, firstPageSeconds, firstMatchSeconds, matchSeconds, missSeconds: Double
    var encodedBytes, slotBytes, usedBytes, fileBytes: Int
    /// How many times smaller the slots on disk are than the raw pages.
    var ratio: Double
    /// The part of the data file that was in the page cache before the cold load.
    var coldResidentShare: Double?
    /// Prefill rates, in tokens per second, below which loading is faster than computing; nil when that load was not
    /// measured.
    var breakEvenWarm, breakEvenCold: Double?
    var samples: [BenchSample]

    init(
        _ samples: [BenchSample], work: BenchWork, model: String, dimensions: KVDimensions, element: KVElement,
        isGenerated: Bool, loadAverage: Double
    ) {
        self.samples = samples
        self.model = model
        let layout = work.layout
        self.element = element.description
        codec = work.codec.rawValue
        pages = isGenerated ? "generated" : "given"
        processor = Machine.processor
        cores = ProcessInfo.processInfo.activeProcessorCount
        system = Machine.system
        self.loadAverage = loadAverage
        layers = layout.layers
        kvHeads = dimensions.kvHeads
        keyDimension = dimensions.key
        valueDimension = dimensions.value
        pageTokens = layout.pageSize
        pageBytes = layout.bytesPerPage
        pageCount = work.pageCount
        tokens = work.pageCount * layout.pageSize
        rawBytes = work.byteCount
        repeats = samples.count
        rates = Self.rates(samples, bytes: work.byteCount)
        openSeconds = Stopwatch.median(samples.map(\.restart.openSeconds))
        firstPageSeconds = Stopwatch.median(samples.map(\.restart.firstPageSeconds))
        firstMatchSeconds = Stopwatch.median(samples.map(\.restart.firstMatchSeconds))
        matchSeconds = Stopwatch.median(samples.map(\.restart.matchSeconds))
        missSeconds = Stopwatch.median(samples.map(\.restart.missSeconds))
        let last = samples.last?.fill
        encodedBytes = last?.encodedBytes ?? 0
        slotBytes = last?.slotBytes ?? 0
        usedBytes = last?.usedBytes ?? 0
        fileBytes = last?.fileBytes ?? 0
        ratio = slotBytes == 0 ? 0 : Double(last?.rawBytes ?? 0) / Double(slotBytes)
        coldResidentShare = samples.compactMap { $0.cold?.residentShare }.max()
        breakEvenWarm = Self.breakEven(samples.compactMap(\.warm))
        breakEvenCold = Self.breakEven(samples.compactMap(\.cold))
    }

    /// The steps in the order in which an engine meets them, and `memcpy` as their limit.
    private static func rates(_ samples: [BenchSample], bytes: Int) -> [BenchRate] {
        let loads = samples.flatMap { [$0.warm, $0.cold].compactMap(\.self) }
        let copy = Stopwatch.median(loads.map(\.copySeconds))
        let steps: [(String, [Double])] = [
            ("put: readable in RAM", samples.map(\.fill.putSeconds)),
            ("put and flush: synced", samples.map(\.fill.putFlushSeconds)),
            ("load, new process, page cache warm", samples.compactMap { $0.warm?.loadSeconds }),
            ("load again, file mapped", samples.compactMap { $0.warm?.againSeconds }),
            ("load, new process, from disk", samples.compactMap { $0.cold?.loadSeconds }),
            ("load, page cache warm, kept in RAM", samples.compactMap { $0.warm?.keepSeconds }.filter { $0 > 0 }),
            ("load from the hot tier", samples.compactMap { $0.warm?.hotSeconds }.filter { $0 > 0 }),
            ("remote: put, until all is there", samples.compactMap { $0.remote?.putSeconds }),
            ("remote: load, by a host that has nothing", samples.compactMap { $0.remote?.loadSeconds }),
            ("memcpy, 1 thread", loads.map(\.copySeconds)),
            ("memcpy, 2 threads", loads.map(\.copy2Seconds)),
        ]
        return steps.compactMap { step, seconds in
            let median = Stopwatch.median(seconds)
            guard median > 0 else { return nil }
            return BenchRate(
                step: step, seconds: median, gigabytesPerSecond: Double(bytes) / median / 1e9,
                ofMemcpy: copy / median)
        }
    }

    private static func breakEven(_ loads: [LoadResult]) -> Double? {
        guard !loads.isEmpty else { return nil }
        return Stopwatch.median(loads.map { Double($0.tokens) / ($0.matchSeconds + $0.loadSeconds) })
    }
}

extension BenchReport {
    /// The report for people.
    var text: String {
        var rateTable = TextTable(("step", .left), ("GB/s", .right), ("time", .right), ("of memcpy", .right))
        for rate in rates {
            rateTable.add(
                rate.step, String(format: "%.2f", rate.gigabytesPerSecond), Self.time(rate.seconds),
                String(format: "%.2f", rate.ofMemcpy))
        }
        var times = TextTable(("", .left), ("", .left))
        times.add("open", Self.time(openSeconds))
        times.add("first page after opening", Self.time(firstPageSeconds))
        times.add(
            "match",
            "\(Self.time(matchSeconds)) for "
                + "\(Render.count(min(tokens, samples.first?.restart.matchedTokens ?? 0), "token")), "
                + "the first \(Self.time(firstMatchSeconds))"
        )
        times.add("miss", Self.time(missSeconds))
        times.add(
            "sizes",
            Render.sizes(
                raw: ByteCount(UInt64(rawBytes)), encoded: ByteCount(UInt64(encodedBytes)),
                slots: ByteCount(UInt64(slotBytes))))
        times.add("", "\(ByteCount(UInt64(usedBytes))) used, file \(ByteCount(UInt64(fileBytes)))")
        return heading + "\n" + rateTable.text + "\n" + times.text + "\n" + breakEvenText
    }

    private var heading: String {
        let what =
            "\(model), \(element), codec \(codec): \(Render.count(pageCount, "page")) of "
            + "\(Render.count(pageTokens, "token")), \(ByteCount(UInt64(pageBytes))) each, "
            + "\(ByteCount(UInt64(rawBytes))) in all.\n"
        let origin =
            pages == "generated"
            ? "The pages are generated (normal distribution, one scale per plane); real KV becomes a little smaller.\n"
            : "The pages come from the given file.\n"
        let how =
            "Medians of \(repeats). 1 GB is 10^9 bytes of raw pages. \(processor), \(system), "
            + "load average \(String(format: "%.1f", loadAverage)).\n"
        return what + origin + how
    }

    private var breakEvenText: String {
        var text = ""
        if loadAverage > Double(cores) {
            text += "The machine was busy with other work: trust the order of these figures, not their size.\n"
        }
        if let breakEvenWarm {
            text +=
                "From the page cache, loading beats recomputing below \(Render.count(Int(breakEvenWarm))) prefill "
                + "tokens per second.\n"
        }
        if let breakEvenCold {
            text +=
                "From the disk, loading beats recomputing below \(Render.count(Int(breakEvenCold))) prefill tokens "
                + "per second.\n"
        }
        if let coldResidentShare, coldResidentShare > 0.05 {
            text +=
                "Of the data file \(Render.percent(UInt64(100 * coldResidentShare), of: 100)) could not be dropped "
                + "from the page cache: the figures from disk are too good.\n"
        }
        return text
    }

    /// `1.23 s`, `45.6 ms`, `7.8 us`.
    private static func time(_ seconds: Double) -> String {
        switch seconds {
        case 1...: String(format: "%.2f s", seconds)
        case 1e-3...: String(format: "%.1f ms", seconds * 1e3)
        default: String(format: "%.1f us", seconds * 1e6)
        }
    }
}

/// The machine that a run was on.
enum Machine {
    /// The CPU's name as the system gives it, and its number of cores.
    static var processor: String {
        let lines = ((try? String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)) ?? "").split(separator: "\n")
        let name = lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last ?? "unknown CPU"
        let cores = ProcessInfo.processInfo.activeProcessorCount
        return "\(name.trimmingCharacters(in: .whitespaces)), \(Render.count(cores, "core"))"
    }

    /// The kernel's name and the first two numbers of its version.
    static var system: String {
        let version = ProcessInfo.processInfo.operatingSystemVersion
        return "Linux \(version.majorVersion).\(version.minorVersion)"
    }

    /// How many processes wanted a CPU in the last minute. Above the number of cores, the measured times are too long.
    static var loadAverage: Double {
        let text = (try? String(contentsOfFile: "/proc/loadavg", encoding: .utf8)) ?? ""
        return text.split(separator: " ").first.flatMap { Double($0) } ?? 0
    }
}
