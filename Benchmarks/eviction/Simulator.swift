// Runs a trace through a store of one tier that a policy keeps below a quota, and adds up the prefill seconds it saves.

/// Decides which pages stay. The simulator calls in this order: `begin` once per request, `use` for each page of the
/// request that is there, `insert` for each new one, `victim` whenever there is no room.
protocol Policy {
    init(trace: Trace, quota: Int)
    /// A request begins; none of the pages of its path may be named as a victim until the next one begins.
    mutating func begin(_ request: Int, path: [Int32], at time: Int64)
    /// A resident page of the request is used.
    mutating func use(_ page: Int32)
    /// Whether a new page should be stored if `victim` must be evicted for it.
    mutating func admits(_ page: Int32, instead victim: Int32) -> Bool
    /// A new page is stored.
    mutating func insert(_ page: Int32)
    /// The page to evict next; nil when none may be evicted.
    mutating func victim() -> Int32?
    /// The victim is evicted.
    mutating func evict(_ page: Int32)
}

extension Policy {
    mutating func admits(_ page: Int32, instead victim: Int32) -> Bool { true }
}

/// What a run has saved.
struct Outcome {
    /// Prefill seconds that hits saved.
    var saved = 0.0
    /// Prefill seconds of all prompts.
    var all = 0.0
    /// Pages of prompts that hits saved, and all.
    var savedPages = 0
    var allPages = 0
    /// Bytes of the pages that were stored, at the size that they have in the model.
    var written = 0

    var share: Double { all > 0 ? saved / all : 0 }
    var hitRate: Double { allPages > 0 ? Double(savedPages) / Double(allPages) : 0 }

    /// Counts a request that found the first `found` pages of its prompt.
    mutating func count(_ request: Request, _ path: [Int32], found: Int, in trace: Trace) {
        for (depth, page) in path.prefix(request.promptPages).enumerated() {
            let seconds = trace.seconds(of: page)
            all += seconds
            if depth < found { saved += seconds }
        }
        savedPages += min(found, request.promptPages)
        allPages += request.promptPages
    }
}

/// Runs `trace` under `Kind` with `quota` bytes.
func simulate<Kind: Policy>(_ kind: Kind.Type, _ trace: Trace, _ paths: [[Int32]], quota: Int) -> Outcome {
    var policy = Kind(trace: trace, quota: quota)
    var outcome = Outcome()
    var isResident = [Bool](repeating: false, count: trace.pageCount)
    var usedBytes = 0
    for (number, request) in trace.requests.enumerated() {
        let path = paths[number]
        policy.begin(number, path: path, at: request.time)
        // Only pages without a gap before them save anything.
        outcome.count(request, path, found: path.prefix { isResident[Int($0)] }.count, in: trace)
        for page in path where isResident[Int(page)] { policy.use(page) }
        store: for page in path where !isResident[Int(page)] {
            let bytes = trace.bytes(of: page)
            guard bytes <= quota else { break }
            while usedBytes + bytes > quota {
                guard let victim = policy.victim(), policy.admits(page, instead: victim) else { break store }
                policy.evict(victim)
                isResident[Int(victim)] = false
                usedBytes -= trace.bytes(of: victim)
            }
            policy.insert(page)
            isResident[Int(page)] = true
            usedBytes += bytes
            outcome.written += bytes
        }
    }
    return outcome
}
