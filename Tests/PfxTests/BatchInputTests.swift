// Lines that are no requests: each is told, none stops the others.

import Foundation
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@testable import pfx

@Suite("A bad line of pfx batch")
struct BatchInputTests {
    /// A line, and what is said of it.
    static let badLines: [(line: String, sentence: String)] = [
        ("nonsense", "not JSON"),
        (#"{"id": "b1", "prompt": "x""#, "not JSON"),
        ("[1, 2]", "not a JSON object"),
        ("7", "not a JSON object"),
        (#"{"prompt": "x"}"#, #"no "id""#),
        (#"{"id": null, "prompt": "x"}"#, #"no "id""#),
        (#"{"id": 5, "prompt": "x"}"#, #""id" is not a text"#),
        (#"{"id": "good", "prompt": "x"}"#, "same \"id\""),
        (#"{"id": "b2"}"#, "neither"),
        (#"{"id": "b3", "prompt": "x", "tokens": [1]}"#, "both"),
        (#"{"id": "b4", "prompt": ""}"#, "empty"),
        (#"{"id": "b5", "tokens": []}"#, "no token"),
        (#"{"id": "b6", "tokens": [288]}"#, "vocabulary"),
        (#"{"id": "b7", "tokens": [-1]}"#, #""tokens" is not a list of token ids"#),
        (#"{"id": "b8", "tokens": "1 2"}"#, #""tokens" is not"#),
        (#"{"id": "b9", "prompt": ["x"]}"#, #""prompt" is not a text"#),
        (#"{"id": "b10", "prompt": "x", "max_new_tokens": -1}"#, "must be 0 or more"),
        (#"{"id": "b11", "prompt": "x", "max_new_tokens": "9"}"#, #""max_new_tokens" is not"#),
        (#"{"id": "b12", "prompt": "x", "temperature": -1}"#, "temperature"),
        (#"{"id": "b13", "prompt": "x", "top_p": 0}"#, "top-p"),
        (#"{"id": "b14", "prompt": "x", "top_k": 0}"#, "top-k"),
        (#"{"id": "b15", "prompt": "x", "seed": -3}"#, #""seed" is not"#),
        (#"{"id": "b16", "prompt": "x", "stop": [""]}"#, "empty text"),
        (#"{"id": "b17", "prompt": "x", "stop": 4}"#, #""stop" is not"#),
        (#"{"id": "b18", "prompt": "\#(String(repeating: "secret ", count: 400))"}"#, "positions"),
    ]

    @Test("is reported with its number on standard error and in the output, and the others continue")
    func allOfThem() throws {
        let input =
            Prompts.line(id: "good", prompt: "Hello") + Self.badLines.map { $0.line + "\n" }.joined()
            + Prompts.line(id: "last", prompt: "Hello again")
        let run = try Program.run(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-", "--max-new-tokens", "2"], input: input)
        #expect(run.status == 1)
        let lines = try run.lines()
        #expect(Set(lines.replies.keys) == ["good", "last"])
        for (index, bad) in Self.badLines.enumerated() {
            let number = index + 2
            let line = lines.first { $0.line == number }
            #expect(line?.error?.contains(bad.sentence) == true, "line \(number): \(line?.error ?? "nothing")")
            #expect(run.errors.contains("pfx: line \(number): "))
        }
        #expect(lines.count == Self.badLines.count + 2)
        #expect(!run.output.contains("secret") && !run.errors.contains("secret"), "a prompt is quoted")
    }

    @Test("keeps its id in the output when it has one")
    func idOfBadLine() throws {
        let run = try Program.run(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-"],
            input: #"{"id": "q", "prompt": 1}"# + "\n{}\n")
        #expect(try run.lines().map(\.id) == ["q", nil])
        #expect(run.output.contains(#""id":null"#))
    }
}

@Suite("LineReader")
struct LineReaderTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func reader(_ text: String, longest: Int = 1 << 20) throws -> LineReader {
        let path = folder.path("lines")
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return try LineReader(path: path, longest: longest)
    }

    private func all(_ reader: LineReader) throws -> [LineReader.Next] {
        var found: [LineReader.Next] = []
        while true {
            let next = try reader.next(waiting: 100)
            if next == .end { return found }
            found.append(next)
        }
    }

    @Test("numbers lines from 1, keeps empty ones, and takes a last line without an end")
    func numbers() throws {
        let lines = try all(try reader("a\n\nlast"))
        #expect(
            lines == [
                .line(number: 1, bytes: Array("a".utf8)), .line(number: 2, bytes: []),
                .line(number: 3, bytes: Array("last".utf8)),
            ])
        #expect(try all(try reader("")) == [])
        #expect(try all(try reader("\n")) == [.line(number: 1, bytes: [])])
    }

    @Test("reads over lines that are too long, wherever the pieces end that it reads")
    func longLines() throws {
        let long = String(repeating: "x", count: 300_000)
        let lines = try all(try reader("a\n\(long)\nb\n\(long)", longest: 100_000))
        #expect(
            lines == [
                .line(number: 1, bytes: [0x61]), .tooLong(number: 2), .line(number: 3, bytes: [0x62]),
                .tooLong(number: 4),
            ])
        #expect(try all(try reader("1234\n12345\n", longest: 4)).last == .tooLong(number: 2))
    }

    @Test("gives back every line of a large input as it was")
    func manyLines() throws {
        let texts = (0..<20_000).map { "\($0) " + String(repeating: "y", count: $0 % 37) }
        let lines = try all(try reader(texts.joined(separator: "\n") + "\n"))
        #expect(lines.count == texts.count)
        #expect(lines.last == .line(number: 20_000, bytes: Array((texts.last ?? "").utf8)))
        #expect(lines[12_345] == .line(number: 12_346, bytes: Array(texts[12_345].utf8)))
    }

    @Test("refuses a missing file and a folder by name")
    func refusals() throws {
        #expect(throws: CommandFailure.self) { try LineReader(path: folder.path("none")) }
        #expect(throws: CommandFailure.self) { try LineReader(path: folder.path) }
    }
}

@Suite("Arguments of a run")
struct RunArgumentTests {
    @Test("read durations with their unit, and nothing else")
    func durations() {
        #expect(DurationArgument(argument: "90s")?.milliseconds == 90_000)
        #expect(DurationArgument(argument: "30m")?.milliseconds == 1_800_000)
        #expect(DurationArgument(argument: "12h")?.milliseconds == 43_200_000)
        #expect(DurationArgument(argument: "7d")?.milliseconds == 604_800_000)
        for wrong in ["", "7", "d", "-1d", "0s", "1.5h", "7w", "99999999999999999d", "36601d"] {
            #expect(DurationArgument(argument: wrong) == nil, "\(wrong)")
        }
    }

    @Test("read write policies")
    func policies() {
        #expect(WritePolicyArgument(argument: "through")?.policy == .writeThrough)
        #expect(WritePolicyArgument(argument: "back")?.policy == .writeBack)
        #expect(WritePolicyArgument(argument: "hits:3")?.policy == .afterHits(3))
        for wrong in ["", "hits", "hits:", "hits:0", "hits:x", "always"] {
            #expect(WritePolicyArgument(argument: wrong) == nil, "\(wrong)")
        }
    }

    @Test("fill a bar with the share of the input that is done")
    func bar() {
        var totals = BatchTotals()
        totals.requests = 3
        let half = ProgressBar(total: 100).text(bytes: 50, totals, running: 2, waiting: 9)
        #expect(half.hasPrefix("[############............] 50 %  3 done, 2 running, 9 waiting, "))
        #expect(
            ProgressBar(total: nil).text(bytes: 50, totals, running: 2, waiting: 0).hasPrefix("3 done, 2 running, "))
    }
}
