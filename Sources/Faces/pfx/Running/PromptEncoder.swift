// Prompts to token ids, with or without the tokenizer's special tokens.

internal import LlamaEngine

/// Encodes the prompts of one run. Used by one thread.
final class PromptEncoder {
    private let tokenizer: TokenizerChoice
    private let addsSpecialTokens: Bool
    private var hasWarned = false
    /// Whether a text was encoded; token ids that came as such need no tokenizer.
    private(set) var hasEncoded = false
    private var warning: String?

    /// An encoder for a run. `addsSpecialTokens` applies where a prompt does not say otherwise.
    init(_ tokenizer: TokenizerChoice, addsSpecialTokens: Bool) {
        self.tokenizer = tokenizer
        self.addsSpecialTokens = addsSpecialTokens
    }

    /// The token ids of a line, given or encoded.
    func tokenIDs(of fields: PromptFields) throws(InputError) -> [UInt32] {
        switch (fields.prompt, fields.tokens) {
        case (let prompt?, nil): return try tokenIDs(of: prompt, addsSpecialTokens: fields.addSpecialTokens)
        case (nil, let tokens?):
            guard !tokens.isEmpty else { throw InputError("The prompt has no tokens.") }
            return tokens
        case (nil, nil): throw InputError("It has neither \"prompt\" nor \"tokens\".")
        case (_?, _?): throw InputError("It has both \"prompt\" and \"tokens\".")
        }
    }

    /// The token ids of a text that must not be empty.
    func tokenIDs(of prompt: String, addsSpecialTokens adds: Bool? = nil) throws(InputError) -> [UInt32] {
        guard !prompt.isEmpty else { throw InputError("The prompt is empty.") }
        let tokenizer = try requireTokenizer()
        hasEncoded = true
        let tokens = tokenizer.encode(prompt, addSpecialTokens: adds ?? addsSpecialTokens)
        if adds ?? addsSpecialTokens, !hasWarned, tokenizer.hasDoubledBeginning(tokens) {
            hasWarned = true
            warning =
                "A prompt begins with the token that the tokenizer puts before every prompt, so the token is there twice. "
                + "To have it once, give --no-special-tokens, or \"add_special_tokens\": false in the line."
        }
        return tokens
    }

    /// The tokenizer.
    func requireTokenizer() throws(InputError) -> Tokenizer {
        switch tokenizer {
        case .available(let tokenizer): return tokenizer
        case .unavailable(let error):
            var failure = InputError(error)
            failure.missingTokenizer = error
            throw failure
        }
    }

    /// A warning that was not taken yet; there is at most one per run.
    func takeWarning() -> String? {
        defer { warning = nil }
        return warning
    }
}
