// The totals of a run.

internal import LlamaEngine

/// Sums over the finished requests of a run.
struct BatchTotals {
    /// Number of finished requests.
    var requests = 0
    /// Number of refused lines.
    var refused = 0
    /// Number of lines that a resumed output already had.
    var skipped = 0
    var promptTokens = 0
    var generatedTokens = 0
    var reused = ResultLine.Reused()
    /// The sum over the requests, some of which ran at the same time.
    var prefillSeconds = 0.0

    /// Prompt tokens whose KV was computed.
    var computedTokens: Int { promptTokens - reused.hot - reused.cold - (reused.remote ?? 0) }

    /// The share of prompt tokens that were not computed; 0 when there are no prompt tokens.
    var hitRate: Double { promptTokens == 0 ? 0 : Double(promptTokens - computedTokens) / Double(promptTokens) }

    /// Counts a finished request, or, when it is not done, only the tokens that it had when it was interrupted.
    mutating func add(_ result: GenerationResult, isDone: Bool = true) {
        guard isDone || result.timeToFirstToken != nil else { return }
        if isDone { requests += 1 }
        promptTokens += result.promptTokens
        generatedTokens += result.tokens.count
        reused.hot += result.reusedTokens.hot
        reused.cold += result.reusedTokens.cold
        if result.reusedTokens.remote > 0 { reused.remote = (reused.remote ?? 0) + result.reusedTokens.remote }
        reused.shared += result.reusedTokens.shared
        prefillSeconds += result.prefillTime.seconds
    }
}
