// `tokenizer.json` as it is on disk, before any checks.

/// The parts of the file that matter.
struct TokenizerFile: Decodable {
    let model: Model
    let normalizer: JSONValue?
    let preTokenizer: JSONValue?
    let postProcessor: JSONValue?
    let decoder: JSONValue?
    let addedTokens: [JSONValue]?

    enum CodingKeys: String, CodingKey {
        case model, normalizer, decoder
        case preTokenizer = "pre_tokenizer"
        case postProcessor = "post_processor"
        case addedTokens = "added_tokens"
    }

    /// The `model` object. Vocabulary and merges are read only for BPE, because other types spell them differently.
    struct Model: Decodable {
        let type: String
        /// Everything but vocabulary and merges.
        let options: [String: JSONValue]
        let vocabulary: [String: UInt32]
        let merges: [(left: String, right: String)]

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: AnyKey.self)
            var options: [String: JSONValue] = [:]
            for key in container.allKeys where key.stringValue != "vocab" && key.stringValue != "merges" {
                options[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
            }
            self.options = options
            if case .string(let type) = options["type"] { self.type = type } else { type = "BPE" }
            guard type == "BPE" else {
                vocabulary = [:]
                merges = []
                return
            }
            vocabulary = try container.decode([String: UInt32].self, forKey: AnyKey(stringValue: "vocab"))
            merges = try Self.merges(container)
        }

        /// Merges are "left right" in older files, ["left", "right"] in newer ones.
        private static func merges(
            _ container: KeyedDecodingContainer<AnyKey>
        ) throws -> [(left: String, right: String)] {
            let key = AnyKey(stringValue: "merges")
            if let joined = try? container.decode([String].self, forKey: key) {
                return try joined.map { merge in
                    let parts = merge.split(separator: " ", omittingEmptySubsequences: false)
                    guard parts.count == 2 else { throw malformed(container) }
                    return (String(parts[0]), String(parts[1]))
                }
            }
            return try container.decode([[String]].self, forKey: key).map { parts in
                guard parts.count == 2 else { throw malformed(container) }
                return (parts[0], parts[1])
            }
        }

        private static func malformed(_ container: KeyedDecodingContainer<AnyKey>) -> DecodingError {
            .dataCorruptedError(
                forKey: AnyKey(stringValue: "merges"), in: container,
                debugDescription: "has a merge that is not of two parts")
        }
    }
}
