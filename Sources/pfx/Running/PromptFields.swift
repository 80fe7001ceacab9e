// The fields of a line of input, each checked by itself.

internal import Foundation
internal import LlamaEngine

/// What is wrong with a line or a prefix, in one sentence or two. It never quotes a prompt.
struct InputError: Error, Equatable {
    var sentence: String

    /// An error with its own words.
    init(_ sentence: String) { self.sentence = sentence }

    /// Runs `body` and tells the engine's errors in its words.
    static func explaining<R>(_ body: () throws(EngineError) -> R) throws(InputError) -> R {
        do throws(EngineError) {
            return try body()
        } catch {
            throw InputError("\(error) \(error.remedy)")
        }
    }
}

/// The fields of a line as they stand there. Other fields are ignored.
struct PromptFields: Decodable {
    var id: String?
    var prompt: String?
    var tokens: [UInt32]?
    var maxNewTokens: Int?
    var temperature: Float?
    var topP: Float?
    var topK: Int?
    var seed: UInt64?
    var stop: StopTexts?

    private enum CodingKeys: String, CodingKey {
        case id, prompt, tokens, temperature, seed, stop
        case maxNewTokens = "max_new_tokens"
        case topP = "top_p"
        case topK = "top_k"
    }

    /// Texts that end a reply: one, or a list.
    struct StopTexts: Decodable {
        var texts: [String]

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let list = try? value.decode([String].self) {
                texts = list
            } else {
                texts = [try value.decode(String.self)]
            }
        }
    }

    private struct IDOnly: Decodable { var id: String? }

    /// What each field must be, for the sentence when it is not.
    private static let expectations = [
        "id": "a text", "prompt": "a text", "tokens": "a list of token ids", "max_new_tokens": "a whole number",
        "temperature": "a number", "top_p": "a number", "top_k": "a whole number",
        "seed": "a whole number of 0 or more", "stop": "a text or a list of texts",
    ]

    /// Reads the fields and checks each by itself.
    init(json bytes: [UInt8]) throws(InputError) {
        do {
            self = try JSONDecoder().decode(PromptFields.self, from: Data(bytes))
        } catch let error as DecodingError {
            throw Self.explain(error)
        } catch {
            throw InputError("It is not JSON.")
        }
        if let maxNewTokens, maxNewTokens < 0 { throw InputError("\"max_new_tokens\" is below 0.") }
        if let stop, stop.texts.contains("") { throw InputError("\"stop\" holds an empty text.") }
    }

    private static func explain(_ error: DecodingError) -> InputError {
        let context: DecodingError.Context
        switch error {
        case .dataCorrupted(let found): context = found
        case .typeMismatch(_, let found), .valueNotFound(_, let found), .keyNotFound(_, let found): context = found
        @unknown default: return InputError("It is not JSON.")
        }
        if let field = context.codingPath.first?.stringValue {
            return InputError("\"\(field)\" is not \(expectations[field] ?? "what it should be").")
        }
        // A number, a text or a list is JSON, but no request.
        if case .typeMismatch = error { return InputError("It is not a JSON object.") }
        return InputError("It is not JSON.")
    }

    /// The `id` of a line that is otherwise wrong.
    static func id(json bytes: [UInt8]) -> String? { (try? JSONDecoder().decode(IDOnly.self, from: Data(bytes)))?.id }

    /// Whether a line has nothing but blanks.
    static func isBlank(_ bytes: [UInt8]) -> Bool { bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 || $0 == 0x0D } }

    /// The prompt's token ids, given or encoded.
    func tokenIDs(_ tokenizer: TokenizerChoice) throws(InputError) -> [UInt32] {
        switch (prompt, tokens) {
        case (let prompt?, nil): return try Self.tokenIDs(of: prompt, tokenizer)
        case (nil, let tokens?):
            guard !tokens.isEmpty else { throw InputError("The prompt has no token.") }
            return tokens
        case (nil, nil): throw InputError("It has neither \"prompt\" nor \"tokens\".")
        case (_?, _?): throw InputError("It has both \"prompt\" and \"tokens\".")
        }
    }

    /// The token ids of a text that must not be empty.
    static func tokenIDs(of prompt: String, _ tokenizer: TokenizerChoice) throws(InputError) -> [UInt32] {
        guard !prompt.isEmpty else { throw InputError("The prompt is empty.") }
        return try InputError.explaining { () throws(EngineError) in try tokenizer.get().encode(prompt) }
    }
}
