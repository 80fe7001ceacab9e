// `pfx batch` from the outside: the built program on a tiny checkpoint.

import Foundation
import StoreTestKit
import Testing
import TestKit

@Suite("pfx batch")
struct BatchTests {
    let folder: TemporaryFolder
    var store: String { folder.path("a store") }

    init() throws { folder = try TemporaryFolder() }

    /// Runs a batch over standard input.
    private func batch(_ input: String, _ more: [String]) throws -> Finished {
        try Program.run(
            ["batch", "--model", Prompts.model, "--input", "-", "--max-new-tokens", "6", "--threads", "1"] + more,
            input: input)
    }

    @Test("gives the same replies without a store, with an empty one, and from disk in a second process")
    func sameReplies() throws {
        let input = Prompts.lines(12)
        let plain = try batch(input, ["--no-store", "--parallel", "1"])
        let first = try batch(input, ["--store", store, "--parallel", "4"])
        let second = try batch(input, ["--store", store, "--parallel", "4"])
        #expect([plain.status, first.status, second.status] == [0, 0, 0])
        let expected = try plain.lines().replies
        #expect(expected.count == 12)
        #expect(expected.values.allSatisfy { $0.count == 6 })
        #expect(try first.lines().replies == expected)
        #expect(try second.lines().replies == expected)
        #expect(try plain.lines().allSatisfy { $0.reused == 0 })
        for line in try second.lines() { #expect(line.reused == (line.promptTokens ?? 0) - 1) }
        #expect(try second.lines().contains { ($0.reusedTokens?.cold ?? 0) > 128 })
    }

    @Test("gives the same replies with no RAM for pages, with other page sizes and write policies")
    func sameRepliesWithOptions() throws {
        let input = Prompts.lines(6)
        let expected = try batch(input, ["--no-store"]).lines().replies
        let options = [
            ["--hot-bytes", "0"], ["--write-policy", "back"], ["--write-policy", "hits:2"], ["--page-size", "16"],
        ]
        for (index, option) in options.enumerated() {
            for _ in 0..<2 {
                let run = try batch(input, ["--store", folder.path("s\(index)")] + option)
                #expect(run.status == 0)
                #expect(try run.lines().replies == expected, "with \(option)")
            }
        }
    }

    @Test("keeps pages of another element type, page size or tenant apart")
    func separateSpaces() throws {
        let salt = folder.path("salt")
        try Data("sixteen bytes or more\n".utf8).write(to: URL(fileURLWithPath: salt))
        let input = Prompts.lines(1)
        for option in [[], ["--kv-dtype", "fp32"], ["--page-size", "32"], ["--salt-file", salt]] {
            let first = try batch(input, ["--store", store] + option)
            #expect(try first.lines().map(\.reused) == [0], "with \(option)")
            let again = try batch(input, ["--store", store] + option)
            #expect(try again.lines().allSatisfy { $0.reused > 0 }, "with \(option)")
        }
    }

    @Test("writes a summary that is the sum of its lines")
    func summary() throws {
        _ = try batch(Prompts.lines(4), ["--store", store])
        let output = folder.path("out.jsonl")
        let run = try batch(Prompts.lines(8), ["--store", store, "--output", output, "--json"])
        let lines = try JSONLine.all(in: String(contentsOfFile: output, encoding: .utf8))
        let summary = try JSONLine.one(in: run.output)
        #expect(summary.requests == 8 && summary.refused == 0 && summary.interrupted == false)
        #expect(summary.promptTokens == lines.reduce(0) { $0 + ($1.promptTokens ?? 0) })
        #expect(summary.generatedTokens == lines.reduce(0) { $0 + ($1.tokens?.count ?? 0) })
        #expect(summary.reused == lines.reduce(0) { $0 + $1.reused })
        #expect(summary.computedTokens == (summary.promptTokens ?? 0) - summary.reused)
        #expect(summary.store?.path == store)
        #expect((summary.store?.bytesOnDisk ?? 0) > 0)
        #expect(run.errors.isEmpty)
    }

    @Test("writes the summary to standard error when the replies go to standard output")
    func summaryBesideReplies() throws {
        let run = try batch(Prompts.lines(2), ["--store", store])
        #expect(try run.lines().count == 2)
        #expect(run.errors.contains("requests  2 done, 0 refused"))
        #expect(!run.errors.contains("\r"), "a progress bar in a file")
        let json = try batch(Prompts.lines(2), ["--store", store, "--json"])
        #expect(try JSONLine.one(in: json.errors).requests == 2)
    }

    @Test("gives a reply text, a reason and times, and null where there is none")
    func fields() throws {
        let run = try batch(
            #"{"id": "x", "tokens": [1, 2, 3]}"# + "\r\n\n" + #"{"id": "y", "tokens": [4], "max_new_tokens": 0}"#,
            ["--no-store"])
        let lines = try run.lines()
        let x = try #require(lines.first { $0.id == "x" })
        #expect(x.text != nil && x.finishReason == "length" && x.promptTokens == 3)
        #expect((x.ttftSeconds ?? -1) >= (x.prefillSeconds ?? 0) && (x.queueSeconds ?? -1) >= 0)
        let y = try #require(lines.first { $0.id == "y" })
        #expect(y.tokens == [] && y.ttftSeconds == nil && y.text == "")
    }

    @Test("says so when its input holds no prompt")
    func emptyInput() throws {
        let run = try Program.run(["batch", "--model", Prompts.model, "--no-store", "--input", "-"], input: "\n\n")
        #expect(run.status == 65)
        #expect(run.errors.contains("The input on standard input holds no prompt. Give one line of JSON"))
    }

    @Test("ends a reply at a stop text, which is not part of it")
    func stopText() throws {
        let prompt = Prompts.beginning(1)
        let whole = try batch(
            Prompts.line(id: "a", prompt: prompt, fields: #", "max_new_tokens": 40"#), ["--no-store"])
        let text = try #require(whole.lines().first?.text)
        let stop = try #require(text.dropFirst(4).first { $0.isASCII && ($0.isLetter || $0.isNumber) }).description
        let expected = try #require(text.range(of: stop)).lowerBound
        let run = try batch(
            Prompts.line(id: "a", prompt: prompt, fields: #", "max_new_tokens": 40, "stop": ["\#(stop)"]"#),
            ["--no-store"])
        let line = try #require(run.lines().first)
        #expect(line.finishReason == "stop")
        #expect(line.text == String(text[..<expected]))
        #expect((line.tokens?.count ?? 40) < 40)
    }

    @Test("chooses by temperature and seed, the same way each time")
    func sampling() throws {
        let input = Prompts.lines(3, fields: #", "temperature": 1.5, "top_p": 0.95, "top_k": 100, "seed": 7"#)
        let first = try batch(input, ["--no-store"]).lines().replies
        #expect(try batch(input, ["--no-store"]).lines().replies == first)
        #expect(
            try batch(Prompts.lines(3), ["--no-store", "--temperature", "1.5", "--seed", "8"]).lines().replies != first)
    }
}
