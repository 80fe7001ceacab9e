// Runs a trace through a real store: real matches, loads and inserts, and the clock of the trace.
//
// A page of the trace is a page of one token in the store, whose id is the page's number. Its bytes are few, so that
// hours of traffic fit, but in proportion to the model's: 3,072 bytes of keys and values for the smallest model of a
// trace, in a slot of 4 KiB. The quota is the same share of what all pages would take in this store. There is no hot
// tier: every page goes through the file.

internal import CTraceClock
internal import Foundation
internal import PrefixStore

/// A store that a trace runs through.
@safe
struct Replay {
    private let trace: Trace
    private let folder: URL
    private let identities: [ModelIdentity]
    /// Bytes of a page of each model in memory, and the memory of the longest path, one part of it per page.
    private let pageBytes: [Int]
    private let memory: UnsafeMutableRawBufferPointer

    private static let smallest = 3072

    init(_ trace: Trace, longestPath: Int, in folder: String) throws {
        self.trace = trace
        self.folder = URL(fileURLWithPath: folder).appendingPathComponent("eviction-\(getpid())")
        let least = trace.costs.map(\.bytesPerToken).min() ?? 1
        let layouts = try trace.costs.map {
            try KVLayout(
                layers: $0.bytesPerToken / least, kvHeads: 1, headDimension: Self.smallest / 4, element: .bf16,
                pageSize: 1)
        }
        identities = try zip(trace.costs, layouts).map { cost, layout in
            let digest = Digest.sha256(Array(cost.name.utf8))
            return try ModelIdentity(
                weights: digest, layout: layout, positions: "none", tokenizer: digest, engine: "eviction",
                engineFormat: 1)
        }
        pageBytes = layouts.map(\.bytesPerPage)
        unsafe memory = .allocate(byteCount: max(1, longestPath * (pageBytes.max() ?? 0)), alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0x3F)
    }

    /// Gives the memory back. Call it once, at the end.
    func free() { unsafe memory.deallocate() }

    /// Runs the trace in a new store, with a quota of `share` of what all its pages would take.
    func run(share: Double, _ paths: [[Int32]]) throws -> Outcome {
        trace_clock_set(Trace.start)
        defer { trace_clock_set(0) }
        let quota = max(Limits.quota.lowerBound, ByteCount(UInt64(Double(try footprint()) * share)))
        return try withStore(quota: quota) { store in
            var outcome = Outcome()
            let spaces = try identities.map { try store.space($0) }
            for (number, request) in trace.requests.enumerated() {
                trace_clock_set(request.time)
                try replay(request, paths[number], in: spaces, &outcome)
                // What a request leaves is on disk before the next one comes, as between requests of a real hour.
                try store.flush()
            }
            let least = trace.costs.map(\.pageBytes).min() ?? 1
            outcome.written = Int(store.statistics.spilledRawBytes.value) / Self.smallest * least
            return outcome
        }
    }

    private func replay(_ request: Request, _ path: [Int32], in spaces: [Space], _ outcome: inout Outcome) throws {
        guard let first = path.first else { return }
        let model = Int(trace.models[Int(first)])
        let tokens = path.map { TokenID($0) }
        let prompt = Array(tokens.prefix(request.promptPages))
        var found = 0
        if !prompt.isEmpty {
            let match = try spaces[model].match(prompt)
            let targets = (0..<match.tokenCount).map { unsafe PageTarget(address($0, model), capacity: 1) }
            for page in 0..<match.tokenCount { unsafe address(page, model).storeBytes(of: .max, as: UInt32.self) }
            found = try match.load(into: targets).tokens
            for page in 0..<found where unsafe address(page, model).load(as: UInt32.self) != tokens[page] {
                throw Wrong(page: tokens[page])
            }
        }
        outcome.count(request, path, found: found, in: trace)
        for (page, token) in tokens.enumerated() { unsafe address(page, model).storeBytes(of: token, as: UInt32.self) }
        try spaces[model].insert(tokens) { unsafe PageSource(address($0, model), capacity: 1) }
    }

    /// Bytes that all pages would take on disk, by what a hundred of each model take.
    private func footprint() throws -> Int {
        let probe = (0..<100).map { TokenID($0) }
        return try identities.indices.reduce(0) { sum, model in
            let used = try withStore(quota: .mebibytes(64)) { store in
                try store.space(identities[model]).insert(probe) { _ in
                    unsafe PageSource(address(0, model), capacity: 1)
                }
                // A process has a store open once: as a store, or to look into it.
                try store.close()
                let inspector = try StoreInspector(at: folder.path)
                defer { inspector.close() }
                return Int(try inspector.info().usedBytes.value)
            }
            return sum + used * trace.models.count { $0 == model } / probe.count
        }
    }

    private func withStore<R>(quota: ByteCount, _ body: (Store) throws -> R) throws -> R {
        defer { try? FileManager.default.removeItem(at: folder) }
        let store = try Store(
            at: folder.path, options: StoreOptions(quota: quota, hotCapacity: .zero, codec: .raw, promotes: false))
        defer { try? store.close() }
        return try body(store)
    }

    /// Where a page of a path lies.
    @unsafe
    private func address(_ page: Int, _ model: Int) -> UnsafeMutableRawPointer {
        guard let base = unsafe memory.baseAddress else { preconditionFailure("there is memory") }
        return unsafe base + page * pageBytes[model]
    }

    /// The store gave another page's bytes. Then no figure is worth anything.
    private struct Wrong: Error { let page: TokenID }
}
