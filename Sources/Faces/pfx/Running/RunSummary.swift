// The summary at the end of a run: text for people, JSON for programs.

internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// What a run did, what the store gave it, and how long it took. `wallSeconds` begin when model and store are open.
struct RunSummary: Encodable {
    var requests, refused, skipped, promptTokens, computedTokens, generatedTokens: Int
    var reusedTokens: ResultLine.Reused
    var hitRate, prefillSeconds, wallSeconds, tokensPerSecond, openSeconds: Double
    var interrupted: Bool
    /// Lines per field that was ignored.
    var ignoredFields: [String: Int]
    /// Nil without a store.
    var store: StorePart?

    /// The store's part in the run.
    struct StorePart: Encodable {
        var path: String
        var bytesOnDisk, spilledPages, droppedPages, damagedPages: UInt64
        /// Prefill time that loading saved, in seconds of the engine.
        var secondsSaved: Double?
        /// The latest failure of the store, after which the run continued without it; nil when there was none.
        var failure: String?
        /// Nil without a remote.
        var remote: RemotePart?
    }

    /// A summary of `totals` after `seconds`. The store may be open or closed, because it keeps its numbers.
    init(
        _ totals: BatchTotals, seconds: Double, interrupted: Bool, ignored: IgnoredFields = IgnoredFields(),
        _ runtime: Runtime
    ) {
        requests = totals.requests
        refused = totals.refused
        skipped = totals.skipped
        ignoredFields = ignored.lines
        openSeconds = runtime.openSeconds.inMicroseconds
        promptTokens = totals.promptTokens
        computedTokens = totals.computedTokens
        generatedTokens = totals.generatedTokens
        reusedTokens = totals.reused
        hitRate = totals.hitRate.inMicroseconds
        prefillSeconds = totals.prefillSeconds.inMicroseconds
        wallSeconds = seconds.inMicroseconds
        let tokens = Double(totals.promptTokens + totals.generatedTokens)
        tokensPerSecond = seconds > 0 ? (tokens / seconds * 10).rounded() / 10 : 0
        self.interrupted = interrupted
        store = runtime.store.map { store in
            let statistics = store.statistics
            return StorePart(
                path: store.path, bytesOnDisk: runtime.bytesOnDisk, spilledPages: statistics.spilledPages,
                droppedPages: statistics.droppedPages, damagedPages: statistics.damagedPages,
                secondsSaved: runtime.secondsSaved()?.inMicroseconds,
                failure: runtime.engine.storeFailure?.description,
                remote: runtime.remotePart)
        }
    }

    /// Prints the summary as JSON or for people.
    func print(json: Bool, to destination: Destination) throws {
        let text = json ? try JSONOutput.text(self) : text
        switch destination {
        case .standardOutput: try Output.write(text)
        case .standardError: Output.writeMessage(text)
        }
    }

    /// Where a summary goes.
    enum Destination { case standardOutput, standardError }

    /// The lines for people.
    var text: String {
        var table = TextTable(("", .left), ("", .left))
        let skips = skipped > 0 ? ", \(Render.count(skipped)) skipped" : ""
        let end = interrupted ? ", then interrupted" : ""
        table.add("requests", "\(Render.count(requests)) done, \(Render.count(refused)) refused\(skips)\(end)")
        if promptTokens > 0 {
            table.add("prompts", "\(Render.count(promptTokens, "token")), \(Render.count(computedTokens)) computed")
            let reused = reusedTokens.hot + reusedTokens.cold + (reusedTokens.remote ?? 0)
            let remote = reusedTokens.remote.map { "\(Render.count($0)) from the remote, " } ?? ""
            let rate = Render.percent(UInt64(reused), of: UInt64(promptTokens))
            table.add(
                "reused",
                "\(Render.count(reused)) (\(rate)): \(Render.count(reusedTokens.cold)) from disk, \(remote)"
                    + "\(Render.count(reusedTokens.hot - reusedTokens.shared)) from RAM, "
                    + "\(Render.count(reusedTokens.shared)) shared with a running request")
            table.add("replies", Render.count(generatedTokens, "token"))
        }
        let rate = promptTokens > 0 ? String(format: ", %.0f tokens/s including reused ones", tokensPerSecond) : ""
        table.add(
            "time", String(format: "%.2f s after %.2f s of opening model and store", wallSeconds, openSeconds) + rate)
        guard let store else { return table.text }
        if let saved = store.secondsSaved { table.add("saved", String(format: "%.2f s of prefill", saved)) }
        table.add("store", "\(store.path), \(ByteCount(store.bytesOnDisk)) on disk")
        if store.droppedPages > 0 {
            let dropped = Render.count(Int(store.droppedPages), "page")
            table.add("", "\(dropped) not written: the disk was full, or the quota full of pins")
        }
        if store.damagedPages > 0 {
            table.add("", "\(Render.count(Int(store.damagedPages), "damaged page")) recomputed; see `pfx verify`")
        }
        if let failure = store.failure { table.add("", failure) }
        let remote = store.remote?.lines(loadedTokens: reusedTokens.remote ?? 0) ?? []
        for (number, line) in remote.enumerated() { table.add(number == 0 ? "remote" : "", line) }
        return table.text
    }
}
