// tools/bench/lookup: how long a store of many pages takes to open and to find what it has, and how often it allocates
// memory for that.

internal import CAllocationCounter
internal import Foundation
internal import PrefixStore

private let usage = """
    usage: tools/bench/lookup [--pages N] [--folder DIR]

      --pages N      pages of 64 tokens in the store (default 100000)
      --folder DIR   where to make it; it is removed at the end (default: the temporary folder)

    Prints one JSON object. Times are medians in microseconds with the store in the page cache, "open" in milliseconds.
    """

@main
struct Lookup {
    static func main() throws {
        var pages = 100_000
        var folder = FileManager.default.temporaryDirectory
        var arguments = CommandLine.arguments.dropFirst()
        while let option = arguments.popFirst() {
            guard let value = arguments.popFirst() else { return refuse() }
            switch option {
            case "--pages":
                guard let count = Int(value), count >= LookupStore.pagesPerSequence else { return refuse() }
                pages = count
            case "--folder": folder = URL(fileURLWithPath: value)
            default: return refuse()
            }
        }
        let path = folder.appendingPathComponent("lookup-\(getpid())").path
        defer { try? FileManager.default.removeItem(atPath: path) }
        let store = try LookupStore(path: path, sequences: pages / LookupStore.pagesPerSequence)
        var figures = Figures(pages: pages / LookupStore.pagesPerSequence * LookupStore.pagesPerSequence)
        figures.fillSeconds = try store.fill()
        figures.openMilliseconds = try store.timeToOpen()
        try store.measureCold(&figures)
        try store.measureHot(&figures)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        print(String(decoding: try encoder.encode(figures), as: UTF8.self))
    }

    private static func refuse() {
        FileHandle.standardError.write(Data((usage + "\n").utf8))
        exit(2)
    }
}

/// What is printed.
struct Figures: Encodable {
    /// One kind of look-up.
    struct Kind: Encodable {
        /// Median and 99th percentile.
        var microseconds = 0.0
        var p99 = 0.0
        /// Heap allocations of one look-up, the median.
        var allocations: UInt64 = 0
    }

    let pages: Int
    var fillSeconds = 0.0
    var openMilliseconds = 0.0
    /// 8,192 tokens that are there, in RAM and on disk only; and half of them, which shows the allocations per page.
    var hot8192 = Kind()
    var hot4096 = Kind()
    var cold8192 = Kind()
    var cold4096 = Kind()
    /// 8,192 tokens the first of which is no stored sequence's; and of which only the first is.
    var miss = Kind()
    var onlyFirstToken = Kind()

    init(pages: Int) { self.pages = pages }
}

/// Times `body` and counts its allocations, `count` times.
func measure(_ count: Int, _ body: (Int) throws -> Void) rethrows -> Figures.Kind {
    var times: [Double] = []
    var allocations: [UInt64] = []
    times.reserveCapacity(count)
    allocations.reserveCapacity(count)
    for index in 0..<count {
        let before = allocation_count()
        let start = DispatchTime.now().uptimeNanoseconds
        try body(index)
        let end = DispatchTime.now().uptimeNanoseconds
        allocations.append(allocation_count() - before)
        times.append(Double(end - start) / 1000)
    }
    times.sort()
    allocations.sort()
    return Figures.Kind(
        microseconds: times[count / 2], p99: times[count * 99 / 100], allocations: allocations[count / 2])
}
