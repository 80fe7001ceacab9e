// One line of input: a request, or the reason why it cannot be one.

internal import LlamaEngine

/// A line that is a request.
struct BatchRequest {
    var line: Int
    /// Bytes of the line, for the progress bar.
    var byteCount: Int
    var request: GenerationRequest
    /// Texts that end the reply.
    var stops: [String]
}

/// A line that is not a request. It never quotes a prompt.
struct BadLine: Error, Equatable {
    var line: Int
    /// The line's `id`, if it has a usable one.
    var id: String?
    /// What is wrong, and what you can do about it.
    var sentence: String
    /// The reason why there is no tokenizer, if that is the problem.
    var missingTokenizer: EngineError?
}

/// Turns lines into requests. It remembers the ids it has seen.
struct BatchInput {
    let encoder: PromptEncoder
    let sampling: SamplingArguments
    let maxNewTokens: Int
    /// Whether a line with an unknown field is refused.
    let isStrict: Bool
    let stopTokens: Set<UInt32>
    private(set) var ignored = IgnoredFields()
    private var seen: Set<String> = []

    /// Reads requests with the given defaults.
    init(
        _ runtime: Runtime, encoder: PromptEncoder, sampling: SamplingArguments, maxNewTokens: Int, isStrict: Bool
    ) {
        self.encoder = encoder
        stopTokens = Set(runtime.checkpoint.config.eosTokenIDs)
        self.sampling = sampling
        self.maxNewTokens = maxNewTokens
        self.isStrict = isStrict
    }

    /// The request in a line; nil for a line of blanks.
    mutating func request(line: Int, bytes: [UInt8]) throws(BadLine) -> BatchRequest? {
        if PromptFields.isBlank(bytes) { return nil }
        let fields: PromptFields
        do throws(InputError) {
            fields = try PromptFields(json: bytes)
        } catch {
            let id = PromptFields.id(json: bytes)
            if let id { seen.insert(id) }
            throw BadLine(line: line, id: id, sentence: error.sentence)
        }
        guard let id = fields.id else { throw BadLine(line: line, id: nil, sentence: "It has no \"id\".") }
        guard seen.insert(id).inserted else {
            throw BadLine(line: line, id: id, sentence: "An earlier line has the same \"id\".")
        }
        do throws(InputError) {
            try ignored.take(fields.unknown, isStrict: isStrict)
            let stops = fields.stop?.texts ?? []
            if !stops.isEmpty { _ = try encoder.requireTokenizer() }
            let parameters = try InputError.explaining { () throws(EngineError) in
                try sampling.parameters(overriddenBy: fields)
            }
            let request = GenerationRequest(
                id: id, tokens: try encoder.tokenIDs(of: fields), maxNewTokens: fields.maxNewTokens ?? maxNewTokens,
                sampling: parameters, stopTokens: stopTokens)
            return BatchRequest(line: line, byteCount: bytes.count + 1, request: request, stops: stops)
        } catch {
            throw BadLine(line: line, id: id, sentence: error.sentence, missingTokenizer: error.missingTokenizer)
        }
    }
}
