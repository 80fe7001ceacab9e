// Fields of input lines: other names of known ones, unknown ones, those of other programs; special tokens.

import Foundation
import StoreTestKit
import TestKit
import Testing

@testable import pfx

@Suite("The fields of a line")
struct BatchFieldTests {
    private func batch(_ input: String, _ more: String...) throws -> Finished {
        try Program.run(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-", "--max-new-tokens", "6"] + more,
            input: input)
    }

    private func refusal(_ json: String) -> String? {
        do throws(InputError) {
            _ = try PromptFields(json: Array(json.utf8))
            return nil
        } catch {
            return error.sentence
        }
    }

    @Test("max_tokens and max_completion_tokens mean max_new_tokens")
    func lengthNames() throws {
        let lines = ["max_new_tokens", "max_tokens", "max_completion_tokens"].enumerated().map {
            #"{"id": "\#($0)", "prompt": "x", "\#($1)": \#($0 + 1)}"# + "\n"
        }
        let replies = try batch(lines.joined()).lines().replies
        #expect((0..<3).map { replies["\($0)"]?.count } == [1, 2, 3])
        #expect(try PromptFields(json: Array(#"{"max_tokens": 2, "max_new_tokens": 2}"#.utf8)).maxNewTokens == 2)
        #expect(refusal(#"{"max_tokens": 2, "max_new_tokens": 3}"#)?.contains("contradicts") == true)
        #expect(refusal(#"{"max_tokens": -2}"#) == #""max_tokens" must be 0 or more."#)
    }

    @Test("that are unknown are counted and reported once, at the end")
    func unknown() throws {
        let run = try batch(
            Prompts.line(id: "a", prompt: "x", fields: #", "max_new_tokns": 2"#)
                + Prompts.line(id: "b", prompt: "x", fields: #", "note": 1, "promt": "y""#)
                + Prompts.line(id: "c", prompt: "x", fields: #", "note": 2"#))
        #expect(run.status == 0)
        #expect(run.errors.hasSuffix("ignored: max_new_tokns (1 line), note (2 lines), promt (1 line)\n"))
        #expect(try !batch(Prompts.lines(1)).errors.contains("ignored"))
    }

    @Test("that are unknown are refused with --strict")
    func strict() throws {
        let run = try batch(
            Prompts.line(id: "a", prompt: "x", fields: #", "max_new_tokns": 2"#) + Prompts.line(id: "b", prompt: "x"),
            "--strict")
        #expect(run.status == 1)
        #expect(try run.lines().first { $0.id == "a" }?.error?.contains(#"unknown field "max_new_tokns""#) == true)
        #expect(try run.lines().replies.keys.sorted() == ["b"])
    }

    @Test("of a text in the place of a name cannot fill the terminal or move its cursor")
    func longNames() throws {
        var ignored = IgnoredFields()
        try ignored.take([String(repeating: "x", count: 10_000), "\u{1B}[2J"], isStrict: false)
        try ignored.take((0..<50).map { "field \($0)" }, isStrict: false)
        let text = try #require(ignored.text)
        #expect(text.count < 400 && text.hasSuffix(" and 42 more names"))
        #expect(text.contains(#"\u{1b}[2J (1 line)"#))
    }

    @Test("that ask for what pfx does not do are refused by name")
    func otherPrograms() {
        #expect(refusal(#"{"id": "a", "prompt": "x", "n": 3}"#)?.hasPrefix(#""n" is not 1."#) == true)
        #expect(refusal(#"{"id": "a", "prompt": "x", "best_of": 2}"#)?.hasPrefix(#""best_of" is not 1."#) == true)
        #expect(
            refusal(#"{"id": "a", "prompt": "x", "logprobs": 5}"#)?.hasPrefix(#""logprobs" cannot be used"#) == true)
        #expect(refusal(#"{"id": "a", "messages": []}"#)?.contains("no chat template") == true)
        let openAI = #"{"custom_id": "r", "method": "POST", "url": "/v1/completions", "body": {"prompt": "x"}}"#
        #expect(refusal(openAI)?.contains("OpenAI's batch format") == true)
        for harmless in [#""n": 1"#, #""n": null"#, #""logprobs": false"#, #""logprobs": null"#, #""messages": null"#] {
            #expect(refusal(#"{"id": "a", "prompt": "x", \#(harmless)}"#) == nil, "\(harmless)")
        }
    }

    @Test("say what is wrong with a number, a text or a line")
    func causes() {
        #expect(refusal(#"{"prompt": "bad \ud83d"}"#)?.hasPrefix(#""prompt" has half of a surrogate pair"#) == true)
        #expect(refusal(#"{"prompt": "good \ud83d\ude00"}"#) == nil)
        #expect(refusal(#"{"temperature": 1e308}"#) == #""temperature" is not a number from 0 to 100."#)
        #expect(refusal(#"{"temperature": 1e999}"#) == #""temperature" is not a number from 0 to 100."#)
        #expect(
            refusal(#"{"seed": 18446744073709551616}"#)
                == #""seed" is not a whole number from 0 to 18446744073709551615."#)
        #expect(throws: InputError("It is not UTF-8 text. Convert the file to UTF-8.")) {
            try PromptFields(json: Array(#"{"id": "lat"#.utf8) + [0xE9] + Array(#"", "prompt": "x"}"#.utf8))
        }
    }
}

@Suite("Special tokens around a prompt")
struct SpecialTokenTests {
    private func promptTokens(_ run: Finished) throws -> [Int?] {
        #expect(run.status == 0, "\(run.errors)")
        return try run.lines().sorted { ($0.id ?? "") < ($1.id ?? "") }.map(\.promptTokens)
    }

    private func batch(_ input: String, _ more: String...) throws -> Finished {
        try Program.run(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-", "--max-new-tokens", "1"] + more,
            input: input)
    }

    private let begun = "<|begin_of_text|>hi"

    @Test("are left out with --no-special-tokens, and where a line says so")
    func leftOut() throws {
        let input =
            Prompts.line(id: "a", prompt: begun)
            + Prompts.line(id: "b", prompt: begun, fields: #", "add_special_tokens": false"#)
            + Prompts.line(id: "c", prompt: begun, fields: #", "add_special_tokens": true"#)
        let usual = try promptTokens(batch(input)).compactMap(\.self)
        #expect(usual.count == 3 && usual[1] == usual[0] - 1 && usual[2] == usual[0])
        #expect(try promptTokens(batch(input, "--no-special-tokens")) == [usual[1], usual[1], usual[0]])
    }

    @Test("that stand twice are warned of, once")
    func doubled() throws {
        let warning = "A prompt begins with the token that the tokenizer puts before every prompt"
        let run = try batch(
            Prompts.line(id: "a", prompt: "hi") + Prompts.line(id: "b", prompt: begun)
                + Prompts.line(id: "c", prompt: begun))
        #expect(run.errors.contains("pfx: line 2: \(warning)"))
        #expect(run.errors.components(separatedBy: warning).count == 2)
        #expect(try !batch(Prompts.line(id: "a", prompt: begun), "--no-special-tokens").errors.contains(warning))
        let one = try Program.run(
            ["generate", "--model", Prompts.model, "--prompt", begun, "--max-new-tokens", "1"])
        #expect(one.errors.contains("pfx: \(warning)"))
    }
}
