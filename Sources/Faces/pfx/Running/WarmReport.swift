// The report of `pfx warm`: one line per prefix, and the sum.

internal import LlamaEngine
internal import PrefixStore

/// The report of `pfx warm`.
struct WarmReport: Encodable {
    /// One prefix.
    struct Prefix: Encodable {
        var name: String
        var tokens, computedTokens: Int
        var reusedTokens: ResultLine.Reused
        var seconds: Double
    }

    /// A prefix that was refused, or could not be kept.
    struct Refused: Encodable {
        var name: String
        var error: String
    }

    private(set) var prefixes: [Prefix] = []
    private(set) var refused: [Refused] = []
    private(set) var tokens = 0
    private(set) var computedTokens = 0
    var pinned = 0
    var bytesOnDisk: UInt64 = 0
    /// Nil without a remote.
    var remote: RemotePart?

    /// Adds a prefix that is in the store now.
    mutating func add(_ name: String, _ result: GenerationResult) {
        let reused = result.reusedTokens
        let prefix = Prefix(
            name: name, tokens: result.promptTokens, computedTokens: result.promptTokens - reused.total,
            reusedTokens: ResultLine.Reused(reused),
            seconds: result.prefillTime.seconds.inMicroseconds)
        prefixes.append(prefix)
        tokens += prefix.tokens
        computedTokens += prefix.computedTokens
    }

    /// Adds a prefix that was refused.
    mutating func refuse(_ name: String, _ sentence: String) { refused.append(Refused(name: name, error: sentence)) }

    /// The table for people.
    var text: String {
        var table = TextTable(("prefix", .left), ("tokens", .right), ("computed", .right), ("reused", .right))
        for prefix in prefixes {
            table.add(
                prefix.name, Render.count(prefix.tokens), Render.count(prefix.computedTokens),
                Render.count(prefix.tokens - prefix.computedTokens))
        }
        table.add("all", Render.count(tokens), Render.count(computedTokens), Render.count(tokens - computedTokens))
        let kept = pinned > 0 ? "Pinned: \(Render.count(pinned)). " : ""
        let loaded = prefixes.reduce(0) { $0 + ($1.reusedTokens.remote ?? 0) }
        let remote = (remote?.lines(loadedTokens: loaded) ?? []).map { "Remote: \($0)\n" }
        return table.text + kept + "The store has \(ByteCount(bytesOnDisk)) on disk.\n" + remote.joined()
    }
}
