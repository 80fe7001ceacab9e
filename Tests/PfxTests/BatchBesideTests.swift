// `pfx generate` and `pfx warm` from the outside, and what they share with `pfx batch`.

import Foundation
import StoreTestKit
import Testing

@Suite("pfx generate and pfx warm")
struct BatchBesideTests {
    let folder: TemporaryFolder
    var store: String { folder.path("store") }

    init() throws { folder = try TemporaryFolder() }

    private func warm(_ more: [String], input: String = "") throws -> Finished {
        try Program.run(["warm", "--model", Prompts.model, "--store", store] + more, input: input)
    }

    private func generate(_ more: [String], input: String = "") throws -> Finished {
        try Program.run(["generate", "--model", Prompts.model, "--max-new-tokens", "12"] + more, input: input)
    }

    @Test("generate writes the text that batch writes, and its figures to standard error")
    func sameText() throws {
        let prompt = Prompts.beginning(0)
        let batch = try Program.run(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-", "--max-new-tokens", "12"],
            input: Prompts.line(id: "a", prompt: prompt))
        let text = try #require(try batch.lines().first?.text)
        let plain = try generate(["--prompt", prompt])
        #expect(plain.status == 0)
        #expect(plain.output == text + "\n")
        #expect(plain.errors.contains("replies   12 tokens"))
        let stored = try generate(["--store", store, "--prompt-file", "-"], input: prompt)
        #expect(stored.output == text + "\n")
        let json = try JSONLine.one(in: try generate(["--store", store, "--prompt", prompt, "--json"]).output)
        #expect(json.text == text)
        #expect(json.reused == (json.promptTokens ?? 0) - 1)
    }

    @Test("generate keeps its reply, so that the next turn begins behind it")
    func nextTurn() throws {
        let first = try JSONLine.one(in: try generate(["--store", store, "--prompt", "Hello", "--json"]).output)
        let tokens = try #require(first.tokens)
        let prompt = try #require(first.promptTokens)
        #expect(tokens.count == 12)
        let turn = try Program.run(
            ["batch", "--model", Prompts.model, "--store", store, "--input", "-"],
            input: #"{"id": "t", "tokens": \#(try ids("Hello") + tokens + [7, 8])}"#)
        let reused = try #require(try turn.lines().first).reused
        #expect(reused == prompt + tokens.count - 1, "all but the last token, whose KV was never needed")
    }

    /// The token ids of a text of bytes: the tiny tokenizer's first tokens, found by asking it.
    private func ids(_ text: String) throws -> [UInt32] {
        let run = try Program.run(
            ["warm", "--model", Prompts.model, "--store", folder.path("ids"), "--input", "-"],
            input: Prompts.line(id: "x", prompt: text))
        #expect(run.status == 0)
        let shown = try Program.run([
            "show", folder.path("ids"), "--reveal", "--json", try firstHash(folder.path("ids")),
        ])
        struct Page: Decodable { var tokens: [UInt32] }
        return try JSONDecoder().decode(Page.self, from: Data(shown.output.utf8)).tokens
    }

    private func firstHash(_ store: String) throws -> String {
        struct List: Decodable { struct Page: Decodable { var hash: String }; var pages: [Page] }
        let list = try Program.run(["ls", store, "--json"])
        return try #require(try JSONDecoder().decode(List.self, from: Data(list.output.utf8)).pages.first).hash
    }

    @Test("warm stores texts and lines, and a batch begins behind them")
    func warmThenBatch() throws {
        let text = folder.path("text file")
        try Data(Prompts.beginning(0).utf8).write(to: URL(fileURLWithPath: text))
        let lines = folder.path("lines.jsonl")
        try Data(#"{"prompt": "\#(Prompts.beginning(1))"}"#.utf8).write(to: URL(fileURLWithPath: lines))
        let run = try warm(["--input", text, "--input", lines, "--pin", "--expire", "1h", "--json"])
        #expect(run.status == 0, "\(run.errors)")
        let report = try JSONDecoder().decode(Report.self, from: Data(run.output.utf8))
        #expect(report.prefixes.map(\.name) == [text, "line 1"])
        #expect(report.computed_tokens == report.tokens && report.pinned == 2)

        let batch = try Program.run(
            ["batch", "--model", Prompts.model, "--store", store, "--input", "-", "--max-new-tokens", "2"],
            input: Prompts.lines(2))
        for line in try batch.lines() { #expect(line.reused > 180) }
        let info = try JSONLine.one(in: Program.run(["info", store, "--json"]).output)
        #expect((info.pinnedPages ?? 0) >= 6)
        let again = try warm(["--input", text, "--input", lines])
        #expect(again.output.contains("all"))
        #expect(
            try JSONDecoder().decode(Report.self, from: Data(warm(["--input", text, "--json"]).output.utf8))
                .computed_tokens == 0)
    }

    private struct Report: Decodable {
        struct Prefix: Decodable { var name: String }
        var prefixes: [Prefix]
        var tokens, computed_tokens, pinned: Int
    }

    @Test("warm reports a prefix that it cannot use and goes on")
    func badPrefix() throws {
        let run = try warm(["--input", "-"], input: "nonsense\n" + #"{"id": "a", "tokens": [1, 2, 3]}"# + "\n")
        #expect(run.status == 1)
        #expect(run.errors.contains("pfx: line 1: It is not JSON."))
        #expect(run.output.contains("a            3"))
    }

    @Test("mistakes have a status of their own")
    func mistakes() throws {
        #expect(try generate([]).status == 64)
        #expect(try generate(["--prompt", "x", "--prompt-file", "y"]).status == 64)
        #expect(try generate(["--prompt", ""]).status == 65)
        #expect(try generate(["--prompt-file", folder.path("none")]).status == 66)
        #expect(try warm(["--input", folder.path("none")]).status == 66)
        #expect(try warm(["--input", "-", "--write-policy", "hits:2"]).status == 64)
        #expect(try warm(["--input", "-", "--expire", "soon"]).status == 64)
        let binary = folder.path("binary")
        try Data([0xFF, 0xFE, 0x00]).write(to: URL(fileURLWithPath: binary))
        #expect(try warm(["--input", binary]).status == 65)
    }
}
