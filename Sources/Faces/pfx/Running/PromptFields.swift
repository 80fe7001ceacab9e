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

    /// Reads the fields; an error names the field.
    init(from decoder: any Decoder) throws {
        guard let object = try? decoder.container(keyedBy: CodingKeys.self) else {
            throw InputError("It is not a JSON object.")
        }
        func field<T: Decodable>(_ key: CodingKeys, _ what: String, as type: T.Type = T.self) throws -> T? {
            do {
                return try object.decodeIfPresent(type, forKey: key)
            } catch {
                throw InputError("\"\(key.rawValue)\" is not \(what).")
            }
        }
        id = try field(.id, "a text")
        prompt = try field(.prompt, "a text")
        tokens = try field(.tokens, "a list of token ids")
        maxNewTokens = try field(.maxNewTokens, "a whole number")
        temperature = try field(.temperature, "a number")
        topP = try field(.topP, "a number")
        topK = try field(.topK, "a whole number")
        seed = try field(.seed, "a whole number of 0 or more")
        stop = try field(.stop, "a text or a list of texts")
        if let maxNewTokens, maxNewTokens < 0 { throw InputError("\"max_new_tokens\" is below 0.") }
        if let stop, stop.texts.contains("") { throw InputError("\"stop\" holds an empty text.") }
    }

    /// Reads a line.
    init(json bytes: [UInt8]) throws(InputError) {
        do {
            self = try JSONDecoder().decode(PromptFields.self, from: Data(bytes))
        } catch let error as InputError {
            throw error
        } catch {
            throw InputError("It is not JSON.")
        }
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
