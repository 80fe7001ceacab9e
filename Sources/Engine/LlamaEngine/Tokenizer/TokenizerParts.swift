// From the file to the parts that are implemented. Everything that is not recognised is refused by name.

/// A tokenizer, checked and ready to use.
struct TokenizerParts: Sendable {
    /// What is done to text before it is split.
    enum Normalizer: Sendable, Equatable { case none, nfc }

    /// Special tokens around a text.
    struct Template: Sendable, Equatable {
        var prefix: [UInt32] = []
        var suffix: [UInt32] = []
    }

    let encoder: BytePairEncoder
    let tokens: [(bytes: [UInt8], id: UInt32)]
    let added: [AddedToken]
    let normalizer: Normalizer
    let pattern: SplitPattern
    let template: Template

    /// Reads and checks the file at `path`.
    init(path: String) throws(EngineError) {
        let file = try readJSON(TokenizerFile.self, from: MappedFile(path: path), file: Tokenizer.fileName)
        try Self.checkModel(file.model)
        normalizer = try Self.normalizer(file.normalizer)
        pattern = try Self.pattern(file.preTokenizer)
        try Self.checkDecoder(file.decoder)
        added = try Self.added(file.addedTokens ?? [])
        template = try Self.template(file.postProcessor)
        let (spelled, others) = try Self.vocabulary(file.model.vocabulary)
        tokens = spelled + others
        try Self.check(template, in: Set(tokens.map(\.id)).union(added.map(\.id)))
        var merges: [(left: [UInt8], right: [UInt8])] = []
        merges.reserveCapacity(file.model.merges.count)
        for merge in file.model.merges {
            guard let left = ByteAlphabet.bytes(of: merge.left), let right = ByteAlphabet.bytes(of: merge.right) else {
                throw Self.refusal("model.merges", "has a character outside the byte alphabet")
            }
            merges.append((left, right))
        }
        encoder = try BytePairEncoder(
            vocabulary: spelled, merges: merges,
            ignoresMerges: try JSONFields(file: Tokenizer.fileName, fields: file.model.options).flag("ignore_merges"))
    }

    /// The vocabulary as bytes, and separately the tokens that spell no bytes. These can be decoded but never occur in
    /// text.
    private static func vocabulary(
        _ vocabulary: [String: UInt32]
    ) throws(EngineError) -> (spelled: [(bytes: [UInt8], id: UInt32)], others: [(bytes: [UInt8], id: UInt32)]) {
        var spelled: [(bytes: [UInt8], id: UInt32)] = []
        var others: [(bytes: [UInt8], id: UInt32)] = []
        var seen = Set<UInt32>()
        for (token, id) in vocabulary {
            guard id < CheckpointLimits.vocabularySize, seen.insert(id).inserted else {
                throw refusal("model.vocab", "gives an id twice or one out of bounds")
            }
            if let bytes = ByteAlphabet.bytes(of: token) {
                spelled.append((bytes, id))
            } else {
                others.append((Array(token.utf8), id))
            }
        }
        return (spelled, others)
    }

    /// Refuses a template that would put ids around a text which no token has.
    private static func check(_ template: Template, in ids: Set<UInt32>) throws(EngineError) {
        guard (template.prefix + template.suffix).allSatisfy(ids.contains) else {
            throw refusal("post_processor", "has a template with an id that no token has")
        }
    }

    private static func added(_ list: [JSONValue]) throws(EngineError) -> [AddedToken] {
        var tokens: [AddedToken] = []
        for case .object(let object) in list {
            let fields = JSONFields(file: Tokenizer.fileName, fields: object, prefix: "added_tokens.")
            guard let content = try fields.string("content"),
                let id = try fields.integer("id", in: 0...CheckpointLimits.vocabularySize - 1)
            else { throw refusal("added_tokens", "has a token without content or id") }
            for option in ["single_word", "lstrip", "rstrip"] where try fields.flag(option) {
                throw .unsupportedTokenizer("the option \(option) of the added token \(content)")
            }
            tokens.append(
                AddedToken(
                    id: UInt32(id), content: content, isSpecial: try fields.flag("special"),
                    isNormalized: try fields.flag("normalized")))
        }
        return tokens
    }

    static func refusal(_ field: String, _ reason: String) -> EngineError {
        .invalidField(file: Tokenizer.fileName, field: field, reason: reason)
    }
}
