// The phase of the benchmark that measures a remote: one host puts pages there, another one loads them.

internal import Foundation
internal import PrefixStore

/// What `remote` measured. Seconds.
struct RemoteResult: Codable {
    /// From the first insert until all pages are on the remote.
    var putSeconds: Double
    /// What the remote has, found by a host that has nothing; and its load.
    var matchSeconds, loadSeconds: Double
    /// Whether every byte was as inserted.
    var isExact: Bool
    var tokens: Int
}

extension BenchWork {
    /// How long pages stay on a server that expires them, and how long it may take to put them.
    private static var stay: Duration { .seconds(600) }
    private static var longestPut: Duration { .seconds(300) }

    /// Puts and loads all pages. They belong to a model that nobody has, so that none of them is there before.
    func measure(remote url: String) throws -> RemoteResult {
        let source = try self.source()
        let target = try self.buffer()
        let digest = Digest.sha256(Array("pfx bench \(UInt64.random(in: 0...UInt64.max))".utf8))
        let identity = try ModelIdentity(
            weights: digest, layout: layout, positions: "none", tokenizer: digest, engine: "pfx bench", engineFormat: 1)
        let prompts = sequences.map { (tokens(of: $0), sources($0, in: source), targets($0, in: target)) }

        let first = try open("put", url, .all)
        let start = Stopwatch.now
        let space = try first.space(identity)
        for (tokens, pages, _) in prompts { try space.insert(tokens) { pages[$0] } }
        try first.flush()
        let isThere = try first.flushRemote(within: Self.longestPut)
        let put = Stopwatch.now
        let statistics = first.statistics.remote
        try first.close()
        guard isThere, let statistics, statistics.putPages == UInt64(pageCount) else {
            throw CommandFailure(
                status: .failure, sentence: "The pages did not reach the remote.",
                remedy: "Look at what `pfx remote check` says of it"
                    + (statistics?.faults.first.map { " (\($0))" } ?? "") + ".")
        }

        let second = try open("load", url, .none)
        let other = try second.space(identity)
        var (match, load, loaded) = (0.0, 0.0, 0)
        for (tokens, _, targets) in prompts {
            let asked = Stopwatch.now
            let found = try other.match(tokens)
            let matched = Stopwatch.now
            loaded += try found.load(into: targets).tokensByTier.remote
            match += matched - asked
            load += Stopwatch.now - matched
        }
        try second.close()
        let asked = prompts.reduce(0) { $0 + $1.0.count }
        guard loaded == asked else {
            throw CommandFailure(
                status: .failure,
                sentence: "The remote kept only \(loaded / layout.pageSize) of \(pageCount) pages.",
                remedy: "It has evicted the others, or was too slow to give them: raise its memory, or give fewer "
                    + "--tokens.")
        }
        return RemoteResult(
            putSeconds: put - start, matchSeconds: match, loadSeconds: load, isExact: target.isEqual(to: source),
            tokens: loaded)
    }

    private func open(_ name: String, _ url: String, _ puts: RemotePuts) throws(StoreError) -> Store {
        let bytes = ByteCount.mebibytes(256 + UInt64(4 * byteCount) >> 20)
        return try Store(
            at: "\(folder)-\(name)",
            options: StoreOptions(
                quota: bytes, hotCapacity: .zero, codec: codec, promotes: false,
                remote: RemoteOptions(
                    url: url, puts: puts, lookupTime: .seconds(5), stallTime: .seconds(5), queueCapacity: bytes,
                    timeToLive: url.hasPrefix("s3:") ? nil : Self.stay)))
    }
}
