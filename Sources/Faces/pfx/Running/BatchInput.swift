// One line of input: a request, or why it is none.

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

/// A line that is none. It never quotes a prompt.
struct BadLine: Error, Equatable {
    var line: Int
    /// The line's `id`, if it has a usable one.
    var id: String?
    /// What is wrong, and what to do about it.
    var sentence: String
}

/// Turns lines into requests. It remembers the ids it has seen.
struct BatchInput {
    let tokenizer: TokenizerChoice
    let sampling: SamplingArguments
    let maxNewTokens: Int
    let stopTokens: Set<UInt32>
    private var seen: Set<String> = []

    /// Reads requests with the given defaults.
    init(_ runtime: Runtime, sampling: SamplingArguments, maxNewTokens: Int) {
        tokenizer = runtime.tokenizer
        stopTokens = Set(runtime.checkpoint.config.eosTokenIDs)
        self.sampling = sampling
        self.maxNewTokens = maxNewTokens
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
            let stops = fields.stop?.texts ?? []
            let parameters = try InputError.explaining { () throws(EngineError) in
                if !stops.isEmpty { _ = try tokenizer.get() }
                return try sampling.parameters(overriddenBy: fields)
            }
            let request = GenerationRequest(
                id: id, tokens: try fields.tokenIDs(tokenizer), maxNewTokens: fields.maxNewTokens ?? maxNewTokens,
                sampling: parameters, stopTokens: stopTokens)
            return BatchRequest(line: line, byteCount: bytes.count + 1, request: request, stops: stops)
        } catch {
            throw BadLine(line: line, id: id, sentence: error.sentence)
        }
    }
}
