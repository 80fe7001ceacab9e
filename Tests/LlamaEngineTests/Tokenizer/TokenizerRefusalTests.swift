import Testing
import TestKit

@testable import LlamaEngine

@Suite("A tokenizer file")
struct TokenizerRefusalTests {
    @Test(
        "is refused by the name of what is not implemented",
        arguments: [
            (#"{"model": {"type": "Unigram", "vocab": []}}"#, "the model Unigram"),
            (#"{"model": {"type": "WordPiece"}}"#, "the model WordPiece"),
            (
                #"{"model": {"type": "BPE", "byte_fallback": true, "vocab": {}, "merges": []}}"#,
                sentencePiece("byte_fallback")
            ),
            (#"{"model": {"type": "BPE", "dropout": 0.1, "vocab": {}, "merges": []}}"#, "random merges (dropout)"),
            (
                #"{"model": {"type": "BPE", "end_of_word_suffix": "</w>", "vocab": {}, "merges": []}}"#,
                "a end_of_word_suffix"
            ),
            (#"{"model": {"vocab": {"a": 0}, "merges": []}}"#, "a vocabulary that lacks the token of a single byte"),
            (#"{"normalizer": {"type": "Lowercase"}}"#, "the normalizer Lowercase"),
            (
                #"{"normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend"}]}}"#,
                "the SentencePiece normalizer Prepend"
            ),
            (#"{"pre_tokenizer": {"type": "Metaspace"}}"#, sentencePiece("Metaspace")),
            (#"{"pre_tokenizer": {"type": "Whitespace"}}"#, "the pre-tokenizer Whitespace"),
            (#"{"pre_tokenizer": null}"#, "a pre-tokenizer without ByteLevel or split"),
            (#"{"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true}}"#, "add_prefix_space"),
            (
                #"{"pre_tokenizer": {"type": "ByteLevel", "use_regex": false}}"#,
                "a pre-tokenizer without ByteLevel or split"
            ),
            (steps(#"{"type": "ByteLevel"}, {"type": "Digits"}"#), "a pre-tokenizer behind ByteLevel"),
            (
                steps(#"{"type": "Split", "pattern": {"Regex": "\\s+"}, "behavior": "Isolated", "invert": false}"#),
                "the split pattern \\s+"
            ),
            (
                steps(
                    #"{"type": "Split", "pattern": {"Regex": "\#(String(repeating: "abc", count: 99))"}, "#
                        + #""behavior": "Isolated"}"#),
                "the split pattern \(String(repeating: "abc", count: 16))..."
            ),
            (
                steps(#"{"type": "Split", "pattern": {"String": " "}, "behavior": "Isolated"}"#),
                "a split without a regular expression"
            ),
            (steps(#"{"type": "Split", "behavior": "Removed"}"#), "a split that is not isolated"),
            (#"{"decoder": {"type": "WordPiece"}}"#, "the decoder WordPiece"),
            (#"{"post_processor": {"type": "BertProcessing"}}"#, "the post-processor BertProcessing"),
            (
                #"{"post_processor": {"type": "TemplateProcessing", "single": [], "special_tokens": {}}}"#,
                "a template without text"
            ),
            (
                #"{"added_tokens": [{"id": 700, "content": "<x>", "lstrip": true}]}"#,
                "the option lstrip of the added token <x>"
            ),
        ])
    func refuses(fields: String, what: String) {
        let error = EngineError.unsupportedTokenizer(what)
        #expect(throws: error) { _ = try patched(fields) }
        #expect(error.remedy == "Tokenize elsewhere and give token ids instead of text.")
    }

    @Test("with a split before a ByteLevel that splits again is refused")
    func refusesTwoSplits() throws {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.tokenizer("llama3"))
        let text = String(decoding: try folder.read("tokenizer.json"), as: UTF8.self)
        try folder.write("tokenizer.json", text.replacing(#""use_regex":false"#, with: #""use_regex":true"#))
        #expect(throws: EngineError.unsupportedTokenizer("two splits in a row")) {
            _ = try Tokenizer(path: folder.path("tokenizer.json"))
        }
    }

    @Test(
        "is refused when it contradicts itself",
        arguments: [
            (#"{"model": {"vocab": {"a": 0, "b": 0}, "merges": []}}"#, "model.vocab"),
            (#"{"model": {"vocab": {"a": 4194304}, "merges": []}}"#, "model.vocab"),
            (#"{"model": {"vocab": {}, "merges": [["a", " "]]}}"#, "model.merges"),
            (#"{"added_tokens": [{"id": 1}]}"#, "added_tokens"),
            (#"{"added_tokens": [{"id": -1, "content": "x"}]}"#, "added_tokens.id"),
            (#"{"pre_tokenizer": 7}"#, "pre_tokenizer"),
            (#"{"pre_tokenizer": {}}"#, "pre_tokenizer"),
            (#"{"pre_tokenizer": {"type": "Sequence"}}"#, "pre_tokenizer"),
            (#"{"normalizer": {"type": "Sequence", "normalizers": [{"type": "Sequence"}]}}"#, "normalizer"),
            (#"{"post_processor": {"type": "TemplateProcessing"}}"#, "post_processor"),
            (
                #"{"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}], "#
                    + #""special_tokens": {}}}"#,
                "post_processor"
            ),
            (
                // An id that no token has would be put around every text.
                #"{"post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x"}}, "#
                    + #"{"Sequence": {"id": "A"}}], "special_tokens": {"x": {"ids": [50000]}}}}"#,
                "post_processor"
            ),
        ])
    func refusesContradictions(fields: String, field: String) {
        do {
            _ = try patched(fields)
            Issue.record("accepted")
        } catch EngineError.invalidField(let file, let found, let reason) {
            #expect(file == "tokenizer.json")
            #expect(found == field)
            #expect(!reason.isEmpty)
        } catch {
            Issue.record("\(error)")
        }
    }

    @Test("with merges of unknown tokens is refused")
    func refusesUnknownMerge() throws {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.tokenizer("gpt2"))
        let text = String(decoding: try folder.read("tokenizer.json"), as: UTF8.self)
        try folder.write("tokenizer.json", text.replacing(#""merges":["#, with: #""merges":["z z","#))
        let reason = "joins tokens that are not in the vocabulary"
        let error = EngineError.invalidField(file: "tokenizer.json", field: "model.merges", reason: reason)
        #expect(throws: error) { _ = try Tokenizer(path: folder.path("tokenizer.json")) }
    }

    @Test(
        "must be JSON; the error says where it is not",
        arguments: [
            ("", "it ends too early"), (#"{"model": "#, "it ends too early"), ("[]", "it is something else"),
            ("{\n  \"model\": NaN\n}", "line 2 is not JSON near column 12"),
            ("// A comment.\n{}", "line 1 is not JSON near column 1"),
        ])
    func refusesOtherFiles(text: String, reason: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("tokenizer.json", text)
        #expect(throws: EngineError.notJSON(file: "tokenizer.json", reason: reason)) {
            _ = try Tokenizer(path: folder.path("tokenizer.json"))
        }
    }

    @Test(
        "must have a vocabulary and merges of two parts; the error names the field",
        arguments: [
            ("{}", "model", "is missing"), (#"{"model": {"type": "BPE"}}"#, "model.vocab", "is missing"),
            (#"{"model": {"vocab": {}}}"#, "model.merges", "is missing"),
            (#"{"model": {"vocab": {}, "merges": ["a"]}}"#, "model.merges", "has a merge that is not of two parts"),
            (
                #"{"model": {"vocab": {}, "merges": [["a", "b", "c"]]}}"#, "model.merges",
                "has a merge that is not of two parts"
            ),
            (#"{"model": {"vocab": {}, "merges": 7}}"#, "model.merges", "is of the wrong type"),
        ])
    func refusesOtherFields(text: String, field: String, reason: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("tokenizer.json", text)
        #expect(throws: EngineError.invalidField(file: "tokenizer.json", field: field, reason: reason)) {
            _ = try Tokenizer(path: folder.path("tokenizer.json"))
        }
    }

    @Test("must be there")
    func refusesNothing() {
        #expect(throws: EngineError.missingFile(path: "/none/tokenizer.json")) {
            _ = try Tokenizer(path: "/none/tokenizer.json")
        }
    }

    @Test("may close a text as well as open it")
    func suffix() throws {
        let tokenizer = try patched(
            #"""
            {"post_processor": {"type": "TemplateProcessing",
             "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<e>", "type_id": 0}}],
             "special_tokens": {"<e>": {"id": "<e>", "ids": [5], "tokens": ["<e>"]}}}}
            """#)
        #expect(tokenizer.encode("") == [5])
        #expect(tokenizer.encode("", addSpecialTokens: false).isEmpty)
    }

    /// The GPT-2 fixture with some fields replaced.
    private func patched(_ fields: String) throws -> Tokenizer {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.tokenizer("gpt2"))
        try folder.patch("tokenizer.json", with: fields)
        return try Tokenizer(path: folder.path("tokenizer.json"))
    }

    private static func steps(_ steps: String) -> String {
        #"{"pre_tokenizer": {"type": "Sequence", "pretokenizers": [\#(steps)]}}"#
    }

    private static func sentencePiece(_ by: String) -> String { "SentencePiece pieces (\(by))" }
}
