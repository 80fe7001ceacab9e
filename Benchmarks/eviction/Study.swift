// Every policy on every trace at every quota, and the medians over the seeds.

/// What can be simulated.
enum PolicyName: String, CaseIterable, Encodable {
    case lru = "LRU"
    case leafLRU = "LRU, leaf first"
    case s3FIFO = "S3-FIFO, leaf-aware"
    case lrfu = "LRFU, 6 h, leaf first"
    case store = "PrefixStore"
    case optimum = "offline optimum"
    /// No simulation: see `Replay`.
    case replay = "the store itself"

    static let simulated = allCases.filter { $0 != .replay }

    func run(_ trace: Trace, _ paths: [[Int32]], quota: Int) -> Outcome {
        switch self {
        case .lru: simulate(LRU.self, trace, paths, quota: quota)
        case .leafLRU: simulate(LeafLRU.self, trace, paths, quota: quota)
        case .s3FIFO: simulate(LeafS3FIFO.self, trace, paths, quota: quota)
        case .lrfu: simulate(LRFU.self, trace, paths, quota: quota)
        case .store: simulate(StorePolicy.self, trace, paths, quota: quota)
        case .optimum: simulate(Belady.self, trace, paths, quota: quota)
        case .replay: Outcome()
        }
    }
}

/// One policy at one quota: medians over the seeds.
struct Cell: Encodable {
    var policy: PolicyName
    /// Percent of the footprint.
    var quota: Double
    /// Share of all prefill seconds that was saved.
    var saved: Double
    /// Saved seconds over those of LRU, and of the offline optimum, with the same seed.
    var overLRU: Double
    var overOptimum: Double
    /// Each seed's share, in the order of the seeds.
    var seeds: [Double]
    /// Of the first seed: the share of the prompts' tokens that hits saved; those tokens; prefill seconds that they
    /// saved; bytes of the pages that were stored.
    var hitRate: Double
    var savedTokens: Int
    var savedSeconds: Double
    var writtenBytes: Int
}

/// One kind of trace.
struct Study: Encodable {
    var trace: String
    /// Of the first seed: requests, pages, bytes of all pages, and the share that a store without a quota would save.
    var requests: Int
    var pages: Int
    var footprint: Int
    var unbounded: Double
    var cells: [Cell] = []
    /// For each quota the share that no policy without foresight passes, over that of LRU, and over the optimum's; see
    /// `Bound.swift`.
    var bounds: [[Double]] = []

    /// - Parameter folder: where the stores are made that the traces run through; nil for none.
    init(of name: String, quotas: [Double], folder: String?, traces: [() throws -> Trace]) throws {
        trace = name
        (requests, pages, footprint, unbounded) = (0, 0, 0, 0)
        var outcomes: [[PolicyName: [Outcome]]] = quotas.map { _ in [:] }
        var limits: [[Double]] = []
        for (number, make) in traces.enumerated() {
            let trace = try make()
            let paths = trace.requests.map { trace.path(to: $0.leaf) }
            if number == 0 {
                (requests, pages, footprint) = (trace.requests.count, trace.pageCount, trace.footprint)
                unbounded = PolicyName.leafLRU.run(trace, paths, quota: trace.footprint).share
            }
            limits.append(eviction.bounds(trace, paths, quotas: quotas))
            let replay = try folder.map {
                try Replay(trace, longestPath: paths.map(\.count).max() ?? 0, in: $0)
            }
            defer { replay?.free() }
            for (place, quota) in quotas.enumerated() {
                let bytes = Int(Double(trace.footprint) * quota / 100)
                for policy in PolicyName.simulated {
                    outcomes[place][policy, default: []].append(policy.run(trace, paths, quota: bytes))
                }
                if let replay {
                    outcomes[place][.replay, default: []].append(try replay.run(share: quota / 100, paths))
                }
            }
        }
        for (place, quota) in quotas.enumerated() {
            let shares = outcomes[place].mapValues { $0.map(\.share) }
            let (lru, optimum) = (shares[.lru] ?? [], shares[.optimum] ?? [])
            let limit = limits.map { $0[place] }
            bounds.append([median(limit), median(zip(limit, lru).map(ratio)), median(zip(limit, optimum).map(ratio))])
            for policy in PolicyName.allCases {
                guard let own = shares[policy], let first = outcomes[place][policy]?.first else { continue }
                cells.append(
                    Cell(
                        policy: policy, quota: quota, saved: median(own), overLRU: median(zip(own, lru).map(ratio)),
                        overOptimum: median(zip(own, optimum).map(ratio)), seeds: own, hitRate: first.hitRate,
                        savedTokens: first.savedPages * pageSize, savedSeconds: first.saved,
                        writtenBytes: first.written))
            }
        }
    }

    /// The bound at a quota, over LRU.
    func bound(at quota: Double, _ quotas: [Double]) -> Double? { quotas.firstIndex(of: quota).map { bounds[$0][1] } }

    func cell(_ policy: PolicyName, at quota: Double) -> Cell? {
        cells.first { $0.policy == policy && $0.quota == quota }
    }
}

func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    guard !sorted.isEmpty else { return 0 }
    let middle = sorted.count / 2
    return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

private func ratio(_ own: Double, _ other: Double) -> Double { other > 0 ? own / other : 1 }
