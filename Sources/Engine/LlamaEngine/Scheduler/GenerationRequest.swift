// The requests of a caller, and the results of the engine.

/// A prompt and how to continue it.
public struct GenerationRequest: Sendable {
    /// The caller's name for the request, which the engine returns. It may have any form.
    public var id: String
    /// The prompt's token ids; at least one.
    public var tokens: [UInt32]
    /// The most tokens to generate. With 0, the engine computes and stores the prompt and generates nothing.
    public var maxNewTokens: Int
    /// How the next token is chosen.
    public var sampling: SamplingParameters
    /// Tokens that end the reply; they are not part of it.
    public var stopTokens: Set<UInt32>

    /// A request; greedy unless `sampling` says otherwise.
    public init(
        id: String, tokens: [UInt32], maxNewTokens: Int, sampling: SamplingParameters = .greedy,
        stopTokens: Set<UInt32> = []
    ) {
        self.id = id
        self.tokens = tokens
        self.maxNewTokens = maxNewTokens
        self.sampling = sampling
        self.stopTokens = stopTokens
    }
}

/// Why a reply ended.
public enum FinishReason: String, Sendable {
    /// A stop token came.
    case stop
    /// `maxNewTokens` were generated.
    case length
    /// The sequence fills all the positions that the model has.
    case contextFull = "context_full"
    /// `Engine.cancel` was called.
    case cancelled
}

/// Prompt tokens whose KV was not computed.
public struct ReusedTokens: Equatable, Sendable {
    /// Tokens from RAM: the store's hot tier, or pages of another sequence of this engine.
    public var hot = 0
    /// Tokens from disk.
    public var cold = 0
    /// Tokens from the store's remote.
    public var remote = 0
    /// How many of the hot tokens came from another sequence of this engine.
    public var shared = 0

    /// All reused tokens.
    public var total: Int { hot + cold + remote }
}

/// A finished request.
public struct GenerationResult: Sendable {
    /// The request's name.
    public let id: String
    /// The reply, without a stop token.
    public let tokens: [UInt32]
    /// Tokens of the prompt.
    public let promptTokens: Int
    /// How many of them were reused, and from where.
    public let reusedTokens: ReusedTokens
    /// Time from submission until there was a place for the request.
    public let queueTime: Duration
    /// Time from the first work on the request (matching, loading) until its whole prompt was computed, with
    /// whatever ran beside it. Zero when it was cancelled before.
    public let prefillTime: Duration
    /// Time from the end of the queueing to the first token: waiting for a shared prefix, loading, computing. Nil
    /// when there was no token.
    public let timeToFirstToken: Duration?
    /// Why the reply ended.
    public let finishReason: FinishReason
}
