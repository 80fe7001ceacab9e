// The steps around the vocabulary: normaliser, split, template, decoder. Each is recognised or refused by name.

extension TokenizerParts {
    /// Accepts plain byte-level BPE. SentencePiece files are BPE too, and are recognised by their byte fallback.
    static func checkModel(_ model: TokenizerFile.Model) throws(EngineError) {
        guard model.type == "BPE" else { throw .unsupportedTokenizer("the model \(model.type)") }
        let options = JSONFields(file: Tokenizer.fileName, fields: model.options, prefix: "model.")
        if try options.flag("byte_fallback") { throw .unsupportedTokenizer("SentencePiece pieces (byte_fallback)") }
        if options["dropout"] != nil { throw .unsupportedTokenizer("random merges (dropout)") }
        for option in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let text = try options.string(option), !text.isEmpty { throw .unsupportedTokenizer("a \(option)") }
        }
    }

    /// Nothing, NFC, or a sequence of these.
    static func normalizer(_ value: JSONValue?) throws(EngineError) -> Normalizer {
        var result = Normalizer.none
        for step in try steps(value, of: "normalizer", list: "normalizers") {
            switch step.type {
            case "NFC": result = .nfc
            case "Prepend", "Replace": throw .unsupportedTokenizer("the SentencePiece normalizer \(step.type)")
            default: throw .unsupportedTokenizer("the normalizer \(step.type)")
            }
        }
        return result
    }

    /// A split by a known pattern followed by `ByteLevel`, or `ByteLevel` with its own pattern.
    static func pattern(_ value: JSONValue?) throws(EngineError) -> SplitPattern {
        var pattern: SplitPattern?
        var isByteLevel = false
        for step in try steps(value, of: "pre_tokenizer", list: "pretokenizers") {
            guard !isByteLevel else { throw .unsupportedTokenizer("a pre-tokenizer behind ByteLevel") }
            switch step.type {
            case "Split" where pattern == nil: pattern = try splitPattern(step.fields)
            case "ByteLevel":
                isByteLevel = true
                if try step.fields.flag("add_prefix_space") { throw .unsupportedTokenizer("add_prefix_space") }
                // The field is newer than the step: a file without it means true.
                let splits = try step.fields.flag("use_regex")
                guard splits || step.fields["use_regex"] == nil else { continue }
                guard pattern == nil else { throw .unsupportedTokenizer("two splits in a row") }
                pattern = .gpt2
            case "Metaspace": throw .unsupportedTokenizer("SentencePiece pieces (Metaspace)")
            default: throw .unsupportedTokenizer("the pre-tokenizer \(step.type)")
            }
        }
        guard isByteLevel, let pattern else {
            throw .unsupportedTokenizer("a pre-tokenizer without ByteLevel or split")
        }
        return pattern
    }

    private static func splitPattern(_ fields: JSONFields) throws(EngineError) -> SplitPattern {
        guard try fields.string("behavior") == "Isolated", try !fields.flag("invert") else {
            throw .unsupportedTokenizer("a split that is not isolated")
        }
        guard let text = try fields.object("pattern")?.string("Regex") else {
            throw .unsupportedTokenizer("a split without a regular expression")
        }
        guard let pattern = SplitPattern(regularExpression: text) else {
            // Enough to recognise it: patterns have hundreds of characters.
            throw .unsupportedTokenizer("the split pattern \(text.prefix(48))\(text.count > 48 ? "..." : "")")
        }
        return pattern
    }

    static func checkDecoder(_ value: JSONValue?) throws(EngineError) {
        for step in try steps(value, of: "decoder", list: "decoders") where step.type != "ByteLevel" {
            throw .unsupportedTokenizer("the decoder \(step.type)")
        }
    }

    /// The special tokens that the post-processor puts around one text.
    static func template(_ value: JSONValue?) throws(EngineError) -> Template {
        var result = Template()
        for step in try steps(value, of: "post_processor", list: "processors") {
            switch step.type {
            case "ByteLevel": continue
            case "TemplateProcessing":
                let inner = try template(step.fields)
                result = Template(prefix: inner.prefix + result.prefix, suffix: result.suffix + inner.suffix)
            default: throw .unsupportedTokenizer("the post-processor \(step.type)")
            }
        }
        return result
    }

    private static func template(_ fields: JSONFields) throws(EngineError) -> Template {
        guard case .array(let pieces) = fields["single"], let specials = try fields.object("special_tokens") else {
            throw refusal("post_processor", "has a template without single or special_tokens")
        }
        var result = Template()
        var isBehindText = false
        for case .object(let piece) in pieces {
            if piece["Sequence"] != nil {
                guard !isBehindText else { throw .unsupportedTokenizer("a template that repeats its text") }
                isBehindText = true
                continue
            }
            guard case .object(let special) = piece["SpecialToken"], case .string(let name) = special["id"],
                let ids = try specials.object(name)?.tokenIDs("ids", below: CheckpointLimits.vocabularySize)
            else { throw refusal("post_processor", "has a template piece without ids") }
            if isBehindText { result.suffix += ids } else { result.prefix += ids }
        }
        guard isBehindText else { throw .unsupportedTokenizer("a template without text") }
        return result
    }

    /// A step's type and fields.
    private struct Step {
        let type: String
        let fields: JSONFields
    }

    /// The steps of a field: none, one, or those of a `Sequence` (which is not nested in any published file).
    private static func steps(_ value: JSONValue?, of field: String, list: String) throws(EngineError) -> [Step] {
        guard let value, value != .null else { return [] }
        guard case .object(let object) = value else { throw refusal(field, "is not an object") }
        let fields = JSONFields(file: Tokenizer.fileName, fields: object, prefix: field + ".")
        guard let type = try fields.string("type") else { throw refusal(field, "has no type") }
        guard type == "Sequence" else { return [Step(type: type, fields: fields)] }
        guard case .array(let inner) = fields[list] else { throw refusal(field, "is a sequence without \(list)") }
        var steps: [Step] = []
        for value in inner {
            guard case .object(let object) = value, case .string(let type) = object["type"], type != "Sequence" else {
                throw refusal(field, "is a sequence that holds something other than steps")
            }
            let fields = JSONFields(file: Tokenizer.fileName, fields: object, prefix: field + ".")
            steps.append(Step(type: type, fields: fields))
        }
        return steps
    }
}
