// The fields of a line of input, each checked by itself.

internal import Foundation
internal import LlamaEngine

/// The fields of a line as they are in the input.
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
    /// Whether the tokenizer adds its special tokens to `prompt`.
    var addSpecialTokens: Bool?
    /// Names of unknown fields, in order.
    var unknown: [String] = []

    /// Names that all mean `max_new_tokens`.
    private static let lengthNames = ["max_new_tokens", "max_tokens", "max_completion_tokens"]
    /// Fields of OpenAI's requests that ask for more than one reply.
    private static let countNames = ["n", "best_of"]
    /// Fields of OpenAI's requests that ask for probabilities.
    private static let probabilityNames = ["logprobs", "top_logprobs"]
    private static let knownNames = Set(
        ["id", "prompt", "tokens", "temperature", "top_p", "top_k", "seed", "stop", "add_special_tokens"] + lengthNames
            + countNames + probabilityNames)

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
        guard let fields = try? decoder.container(keyedBy: FieldName.self) else {
            throw InputError("It is not a JSON object.")
        }
        let object = FieldReader(fields: fields)
        try Self.refuseOpenAI(object)
        id = try object.read("id", "a text")
        prompt = try object.read("prompt", "a text")
        tokens = try object.read("tokens", "a list of token ids")
        temperature = try object.read("temperature", "a number from 0 to 100")
        topP = try object.read("top_p", "a number above 0 and at most 1")
        topK = try object.read("top_k", "a whole number, 1 or more")
        seed = try object.read("seed", "a whole number from 0 to \(UInt64.max)")
        stop = try object.read("stop", "a text or a list of texts")
        addSpecialTokens = try object.read("add_special_tokens", "true or false")
        for name in Self.lengthNames {
            guard let length: Int = try object.read(name, "a whole number, 0 or more") else { continue }
            if length < 0 { throw InputError("\"\(name)\" must be 0 or more.") }
            guard maxNewTokens == nil || maxNewTokens == length else {
                throw InputError("\"\(name)\" contradicts another name of the same field.")
            }
            maxNewTokens = length
        }
        if let stop, stop.texts.contains("") { throw InputError("\"stop\" holds an empty text.") }
        unknown = object.names.subtracting(Self.knownNames).sorted()
    }

    /// Refuses by name the fields that other programs act on and that this one would have to ignore.
    private static func refuseOpenAI(_ object: FieldReader) throws {
        let hasPrompt = object.has("prompt") || object.has("tokens")
        if !hasPrompt, object.has("body") || object.has("custom_id") {
            throw InputError(
                "It is in OpenAI's batch format. Give \"id\" and \"prompt\" instead of \"custom_id\" and \"body\"."
            )
        }
        if object.has("messages") {
            throw InputError(
                "\"messages\" cannot be used: pfx applies no chat template. Give the finished text as \"prompt\".")
        }
        for name in countNames where object.has(name) {
            guard let count: Int = try object.read(name, "1"), count == 1 else {
                throw InputError(
                    "\"\(name)\" is not 1. Each line has one reply: give one line per reply, with its own \"seed\".")
            }
        }
        for name in probabilityNames where object.has(name) {
            guard object.isOff(name) else {
                throw InputError("\"\(name)\" cannot be used: replies have no probabilities. Leave it out.")
            }
        }
    }

    /// Reads a line.
    init(json bytes: [UInt8]) throws(InputError) {
        guard String(validating: bytes, as: UTF8.self) != nil else {
            throw InputError("It is not UTF-8 text. Convert the file to UTF-8.")
        }
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
}

/// A field's name, whatever it is.
private struct FieldName: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}

/// Reads fields of one object by name.
private struct FieldReader {
    let fields: KeyedDecodingContainer<FieldName>

    /// The names of all fields.
    var names: Set<String> { Set(fields.allKeys.map(\.stringValue)) }

    /// Whether the field is there and is not null.
    func has(_ name: String) -> Bool {
        let key = FieldName(stringValue: name)
        return fields.contains(key) && (try? fields.decodeNil(forKey: key)) != true
    }

    /// Whether the field is `false` or 0.
    func isOff(_ name: String) -> Bool {
        let key = FieldName(stringValue: name)
        return (try? fields.decode(Bool.self, forKey: key)) == false || (try? fields.decode(Int.self, forKey: key)) == 0
    }

    private static func isText(_ type: Any.Type) -> Bool {
        type == String.self || type == PromptFields.StopTexts.self
    }

    /// Whether the value is of another type. The parser's error for an impossible escape is not a `DecodingError`.
    private static func isMismatch(_ error: any Error) -> Bool {
        if case DecodingError.typeMismatch = error { return true }
        return false
    }

    /// The field's value; nil when it is absent or null. `what` says what it must be.
    func read<T: Decodable>(_ name: String, _ what: String) throws -> T? {
        do {
            return try fields.decodeIfPresent(T.self, forKey: FieldName(stringValue: name))
        } catch let error where Self.isText(T.self) && !Self.isMismatch(error) {
            throw InputError(
                "\"\(name)\" has half of a surrogate pair, or another escape that is not a character. Correct the text."
            )
        } catch {
            throw InputError("\"\(name)\" is not \(what).")
        }
    }
}
