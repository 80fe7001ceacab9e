// What a run has done in total.

internal import LlamaEngine

/// Sums over the finished requests of a run.
struct BatchTotals {
    /// Requests that finished.
    var requests = 0
    /// Lines that were refused.
    var refused = 0
    /// Lines that a resumed output already had.
    var skipped = 0
    var promptTokens = 0
    var generatedTokens = 0
    var reused = ResultLine.Reused()
    /// Sum over the requests, which ran side by side.
    var prefillSeconds = 0.0

    /// Prompt tokens whose KV was computed.
    var computedTokens: Int { promptTokens - reused.hot - reused.cold }

    /// Prompt tokens that were not computed, of all; 0 when there are none.
    var hitRate: Double { promptTokens == 0 ? 0 : Double(reused.hot + reused.cold) / Double(promptTokens) }

    /// Counts a finished request, or, when it is not done, only the tokens that it had when it was interrupted.
    mutating func add(_ result: GenerationResult, isDone: Bool = true) {
        guard isDone || result.timeToFirstToken != nil else { return }
        if isDone { requests += 1 }
        promptTokens += result.promptTokens
        generatedTokens += result.tokens.count
        reused.hot += result.reusedTokens.hot
        reused.cold += result.reusedTokens.cold
        reused.shared += result.reusedTokens.shared
        prefillSeconds += result.prefillTime.seconds
    }
}
