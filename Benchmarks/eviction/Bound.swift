// What no policy can pass that cannot see into the future: a bound for all that know of a page its class and its age.
//
// Each page that is used waits for its next use. A policy keeps it for some time and pays bytes times milliseconds. Let
// it know in advance how long the pages of each class wait, and hold it to the quota only on the average of the whole
// trace: then the best it can do is one time per class, and a price of memory finds them all at once (Lagrange). Every
// policy that really has to fit saves less. The classes say more than a store can know:
//
// - a page that eight or more requests branch off in the whole trace is a class of its own, so that its own rate is
//   known;
// - all others by what the generator draws from: whether the last request went on at the end of a sequence, whether it
//   made the page, whether the page has come back before, what a byte of it is worth, and its first page where a tenth
//   of all pages have the same (a job of a batch).

internal import Glibc

/// The share of prefill seconds that no such policy passes, for each of `quotas` (percent of the footprint).
func bounds(_ trace: Trace, _ paths: [[Int32]], quotas: [Double]) -> [Double] {
    var waits = Waits(trace, paths)
    waits.run()
    let time = Double((trace.requests.last?.time ?? 0) - Trace.start)
    return quotas.map { waits.bound(budget: Double(trace.footprint) * $0 / 100 * time) }
}

/// The waits of a class: what ends within each step of time, and what that costs.
private struct WaitClass {
    static let steps = 260
    static func limit(_ step: Int) -> Double { 1000 * pow(1.04, Double(step)) }

    var saved = [Double](repeating: 0, count: steps)
    var endedBytes = [Double](repeating: 0, count: steps)
    var endedCost = [Double](repeating: 0, count: steps)

    mutating func add(_ milliseconds: Int64, bytes: Double, saved seconds: Double) {
        let step = min(Self.steps - 1, max(0, Int((log(max(Double(milliseconds), 1) / 1000) / log(1.04)).rounded(.up))))
        saved[step] += seconds
        endedBytes[step] += bytes
        endedCost[step] += bytes * Double(milliseconds)
    }

    /// The best time to keep at `price`: what it saves, and what it costs.
    func best(price: Double) -> (saved: Double, cost: Double) {
        var (saved, cost, waiting) = (0.0, 0.0, endedBytes.reduce(0, +))
        var best = (saved: 0.0, cost: 0.0)
        for step in 0..<Self.steps {
            saved += self.saved[step]
            cost += endedCost[step]
            waiting -= endedBytes[step]
            let all = cost + waiting * Self.limit(step)
            if saved - price * all > best.saved - price * best.cost { best = (saved, all) }
        }
        return best
    }
}

/// A page's class.
private struct WaitKey: Hashable {
    var page: Int32 = -1
    var root: Int32 = -1
    var worth = 0
    var goesOn = false
    var isNew = false
    var hasComeBack = false
}

/// All waits of a trace, by class.
private struct Waits {
    private let trace: Trace
    private let paths: [[Int32]]
    private var classes: [WaitKey: WaitClass] = [:]
    private var allSeconds = 0.0
    private var isShared: [Bool]
    private var root: [Int32]

    init(_ trace: Trace, _ paths: [[Int32]]) {
        self.trace = trace
        self.paths = paths
        isShared = Array(repeating: false, count: trace.pageCount)
        root = Array(repeating: -1, count: trace.pageCount)
        var descendants = Array(repeating: 0, count: trace.pageCount)
        for page in 0..<trace.pageCount {
            let parent = trace.parents[page]
            root[page] = parent < 0 ? Int32(page) : root[Int(parent)]
            descendants[Int(root[page])] += 1
        }
        for page in root.indices where descendants[Int(root[page])] * 10 < trace.pageCount { root[page] = -1 }
        var branches = Array(repeating: 0, count: trace.pageCount)
        Self.walk(paths, trace.pageCount) { _, path, known, isFollowed in
            if isFollowed { for page in path.prefix(known) { branches[Int(page)] += 1 } }
        }
        for page in branches.indices { isShared[page] = branches[page] >= 8 }
    }

    /// Calls `body` for each request with its path, how many of its pages came before, and whether the last of these
    /// was followed by another.
    private static func walk(
        _ paths: [[Int32]], _ pageCount: Int, _ body: (Int, [Int32], Int, Bool) -> Void
    ) {
        var isKnown = [Bool](repeating: false, count: pageCount)
        var isFollowed = isKnown
        for (number, path) in paths.enumerated() {
            let known = path.prefix { isKnown[Int($0)] }.count
            body(number, path, known, known > 0 && known < path.count && isFollowed[Int(path[known - 1])])
            for (depth, page) in path.enumerated() {
                isKnown[Int(page)] = true
                if depth > 0 { isFollowed[Int(path[depth - 1])] = true }
            }
        }
    }

    mutating func run() {
        var open = [(key: WaitKey, since: Int64)?](repeating: nil, count: trace.pageCount)
        var hasComeBack = [Bool](repeating: false, count: trace.pageCount)
        let end = trace.requests.last?.time ?? 0
        Self.walk(paths, trace.pageCount) { number, path, known, isFollowed in
            let request = trace.requests[number]
            for (depth, page) in path.enumerated() {
                let seconds = depth < request.promptPages ? trace.seconds(of: page) : 0
                allSeconds += seconds
                if let wait = open[Int(page)] {
                    close(page, wait, at: request.time, saved: seconds)
                    hasComeBack[Int(page)] = true
                }
                var key = WaitKey()
                if isShared[Int(page)] {
                    key.page = page
                } else {
                    key.root = root[Int(page)]
                    key.worth = Int(2 * log2(1e9 * trace.seconds(of: page) / Double(trace.bytes(of: page))))
                    key.goesOn = known > 0 && !isFollowed
                    key.isNew = depth >= known
                    key.hasComeBack = hasComeBack[Int(page)]
                }
                open[Int(page)] = (key, request.time)
            }
        }
        for (page, wait) in open.enumerated() { if let wait { close(Int32(page), wait, at: end, saved: 0) } }
    }

    private mutating func close(_ page: Int32, _ wait: (key: WaitKey, since: Int64), at time: Int64, saved: Double) {
        classes[wait.key, default: WaitClass()].add(
            time - wait.since, bytes: Double(trace.bytes(of: page)), saved: saved)
    }

    /// The least that any price gives is the bound.
    func bound(budget: Double) -> Double {
        var (low, high, least) = (1e-25, 1e-8, Double.infinity)
        for _ in 0..<60 {
            let price = (low * high).squareRoot()
            var (saved, cost) = (0.0, 0.0)
            for wait in classes.values {
                let best = wait.best(price: price)
                saved += best.saved
                cost += best.cost
            }
            least = min(least, (saved + price * (budget - cost)) / max(allSeconds, 1e-9))
            if cost > budget { low = price } else { high = price }
        }
        return least
    }
}
