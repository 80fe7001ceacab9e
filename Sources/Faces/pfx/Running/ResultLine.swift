// The output lines: one per finished request, and one per input line that is not a request.

internal import LlamaEngine

/// The line of a finished request. Times are seconds.
struct ResultLine: Encodable {
    var id: String
    /// Nil when the checkpoint has no tokenizer.
    var text: String?
    var tokens: [UInt32]
    var promptTokens: Int
    var reusedTokens: Reused
    var queueSeconds: Double
    var prefillSeconds: Double
    /// Nil when no token was generated.
    var ttftSeconds: Double?
    var finishReason: String

    /// Prompt tokens whose KV was not computed.
    struct Reused: Encodable, Equatable {
        var hot = 0
        var cold = 0
        /// Nil without a remote, so that programs that know of none see none.
        var remote: Int?
        /// How many of the hot tokens came from another request of the same run and not from the store.
        var shared = 0

        init() {}

        init(_ tokens: ReusedTokens) {
            hot = tokens.hot
            cold = tokens.cold
            remote = tokens.remote == 0 ? nil : tokens.remote
            shared = tokens.shared
        }
    }

    init(_ result: GenerationResult, text: String?, finishReason: FinishReason) {
        id = result.id
        self.text = text
        tokens = result.tokens
        promptTokens = result.promptTokens
        reusedTokens = Reused(result.reusedTokens)
        queueSeconds = result.queueTime.seconds.inMicroseconds
        prefillSeconds = result.prefillTime.seconds.inMicroseconds
        ttftSeconds = result.timeToFirstToken?.seconds.inMicroseconds
        self.finishReason = finishReason.rawValue
    }
}

/// The output line for a bad line. `id` is null when it has none.
struct ErrorLine: Encodable {
    var id: String?
    var line: Int
    var error: String

    init(_ bad: BadLine) {
        id = bad.id
        line = bad.line
        error = bad.sentence
    }

    private enum CodingKeys: CodingKey { case id, line, error }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(line, forKey: .line)
        try container.encode(error, forKey: .error)
    }
}

extension Double {
    /// Seconds rounded to whole microseconds, without meaningless digits.
    var inMicroseconds: Double { (self * 1e6).rounded() / 1e6 }
}
