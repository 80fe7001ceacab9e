// `pfx generate` and `pfx warm` from the outside, and what they share with `pfx batch`.

import Foundation
import StoreTestKit
import Testing
import TestKit

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
        let text = try #require(batch.lines().first?.text)
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

    @Test("a reply is kept, so that the next turn begins behind it")
    func nextTurn() throws {
        let first = Array(1...20) as [UInt32]
        func turn(_ tokens: [UInt32]) throws -> JSONLine {
            let run = try Program.run(
                ["batch", "--model", Prompts.model, "--store", store, "--input", "-", "--max-new-tokens", "12"],
                input: #"{"id": "t", "tokens": \#(tokens)}"#)
            return try #require(run.lines().first)
        }
        let reply = try #require(turn(first).tokens)
        #expect(reply.count == 12)
        let second = try turn(first + reply + [7, 8])
        #expect(second.reused == first.count + reply.count - 1, "all but the last token, whose KV was never needed")
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
        #expect(report.tokens > 360 && report.tokens - report.computed_tokens < 16, "they begin with the same word")
        #expect(report.pinned == 2)

        let batch = try Program.run(
            ["batch", "--model", Prompts.model, "--store", store, "--input", "-", "--max-new-tokens", "2"],
            input: Prompts.lines(2))
        for line in try batch.lines() { #expect(line.reused > 180) }
        let info = try JSONDecoder().decode(Info.self, from: Data(Program.run(["info", store, "--json"]).output.utf8))
        #expect(info.pinned_pages >= 6)
        let again = try warm(["--input", text, "--input", lines])
        #expect(again.output.contains("all"))
        #expect(
            try JSONDecoder().decode(Report.self, from: Data(warm(["--input", text, "--json"]).output.utf8))
                .computed_tokens == 0)
    }

    private struct Info: Decodable { var pinned_pages: Int }

    private struct Report: Decodable {
        struct Prefix: Decodable { var name: String }
        var prefixes: [Prefix]
        var tokens, computed_tokens, pinned: Int
    }

    @Test("warm reports a prefix that it cannot use and continues")
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
