// A request in the works.

import PrefixStore

/// A request that waits for its turn.
final class WaitingRequest {
    let request: GenerationRequest
    let submitted: ContinuousClock.Instant
    /// When there was a place for it, although it may have gone on waiting for another request's prefill.
    var admitted: ContinuousClock.Instant?
    /// Whether it stays in the queue for a prefix that another request is computing.
    var waitsForPrefix = false

    init(_ request: GenerationRequest, submitted: ContinuousClock.Instant) {
        self.request = request
        self.submitted = submitted
    }

    /// Prompt tokens that may be reused: all but the last, which is computed for its logits.
    var reusable: Int { request.tokens.count - (request.maxNewTokens > 0 ? 1 : 0) }
}

/// A request with pages, partly computed.
final class RunningRequest {
    let request: GenerationRequest
    /// Prompt and reply.
    var tokens: [UInt32]
    /// Tokens whose KV is in the pages.
    var computed: Int
    /// Pages from position 0 on, as far as they were needed.
    var pages: [KVPage]
    /// Pages the sequence may come to hold.
    let pageLimit: Int
    /// What has been handed to the cache, or came from there; nil before the first page.
    var place: SequencePlace?
    let reused: ReusedTokens
    var sampler: Sampler

    let queueTime: Duration
    let admitted: ContinuousClock.Instant
    let started: ContinuousClock.Instant
    var prefillTime = Duration.zero
    var timeToFirstToken: Duration?

    init(
        _ waiting: WaitingRequest, prefix: ReusedPrefix, pageLimit: Int, started: ContinuousClock.Instant
    ) {
        request = waiting.request
        tokens = request.tokens
        computed = prefix.tokens
        pages = prefix.pages
        reused = prefix.reused
        place = prefix.place
        self.pageLimit = pageLimit
        sampler = Sampler(request.sampling)
        admitted = waiting.admitted ?? started
        queueTime = waiting.submitted.duration(to: admitted)
        self.started = started
    }

    /// Tokens that are known and not computed.
    var remaining: Int { tokens.count - computed }

    /// The reply so far.
    var reply: ArraySlice<UInt32> { tokens[request.tokens.count...] }

    /// What is told about the request when it ends.
    func result(_ reason: FinishReason) -> GenerationResult {
        GenerationResult(
            id: request.id, tokens: Array(reply), promptTokens: request.tokens.count, reusedTokens: reused,
            queueTime: queueTime, prefillTime: prefillTime, timeToFirstToken: timeToFirstToken,
            finishReason: reason)
    }
}

/// KV that a new sequence begins with.
struct ReusedPrefix {
    var tokens = 0
    var pages: [KVPage] = []
    var reused = ReusedTokens()
    /// How much of it the cache has for certain.
    var place: SequencePlace?
}
