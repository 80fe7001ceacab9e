// Runs the built `pfx` on a tiny checkpoint, and reads what it wrote.

import Foundation
import StoreTestKit
import TestKit

/// A finished `pfx`.
struct Finished {
    var status: Int32
    var output: String
    var errors: String

    /// Standard output as JSON lines.
    func lines() throws -> [JSONLine] { try JSONLine.all(in: output) }
}

/// One object of JSON, as `pfx` wrote it.
struct JSONLine: Decodable, Equatable {
    struct Reused: Decodable, Equatable { var hot, cold, shared: Int }
    struct StorePart: Decodable, Equatable {
        var path: String, bytesOnDisk: Int, spilledPages: Int, secondsSaved: Double
    }

    var id: String?
    var text: String?
    var tokens: [UInt32]?
    var promptTokens: Int?
    var reusedTokens: Reused?
    var prefillSeconds: Double?
    var queueSeconds: Double?
    var ttftSeconds: Double?
    var finishReason: String?
    var line: Int?
    var error: String?

    var requests, refused, computedTokens, generatedTokens: Int?
    var hitRate, tokensPerSecond, wallSeconds: Double?
    var interrupted: Bool?
    var skipped: Int?
    var store: StorePart?

    static func all(in text: String) throws -> [JSONLine] {
        try text.split(separator: "\n").map { try one(in: String($0)) }
    }

    static func one(in text: String) throws -> JSONLine {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(JSONLine.self, from: Data(text.utf8))
    }

    /// Tokens reused, from wherever.
    var reused: Int { (reusedTokens?.hot ?? 0) + (reusedTokens?.cold ?? 0) }
}

/// A running `pfx`. Its standard output and error go to files, so that no pipe can fill up.
final class Program {
    private let process: ChildProcess
    private let input: FileHandle?
    private let folder: TemporaryFolder

    /// Starts `pfx` with the given arguments and an input that does not end.
    convenience init(_ arguments: [String]) throws { try self.init(arguments, wholeInput: nil) }

    private init(_ arguments: [String], wholeInput: String?) throws {
        folder = try TemporaryFolder()
        let output = try Self.file(folder.path("out"))
        let errors = try Self.file(folder.path("err"))
        let reading: FileHandle
        if let wholeInput {
            try Data(wholeInput.utf8).write(to: URL(fileURLWithPath: folder.path("in")))
            reading = try FileHandle(forReadingFrom: URL(fileURLWithPath: folder.path("in")))
            input = nil
        } else {
            let pipe = ChildProcess.pipe()
            reading = FileHandle(fileDescriptor: pipe.reading, closeOnDealloc: true)
            input = FileHandle(fileDescriptor: pipe.writing, closeOnDealloc: true)
        }
        process = try ChildProcess(
            ChildProcess.product("pfx"), arguments, input: reading.fileDescriptor, output: output.fileDescriptor,
            errors: errors.fileDescriptor)
    }

    /// Runs `pfx` to its end.
    static func run(_ arguments: [String], input: String = "") throws -> Finished {
        try Program(arguments, wholeInput: input).wait()
    }

    /// Writes to standard input.
    func write(_ text: String) throws { try input?.write(contentsOf: Data(text.utf8)) }

    /// The process id.
    var processID: Int32 { process.processID }

    /// Ends standard input.
    func closeInput() throws { try input?.close() }

    /// Waits until the program catches SIGINT: a signal before that would end it at once.
    func waitForHandler() throws {
        for _ in 0..<6000 {
            let status = (try? String(contentsOfFile: "/proc/\(process.processID)/status", encoding: .utf8)) ?? ""
            let caught = status.split(separator: "\n").first { $0.hasPrefix("SigCgt:") }?.split(separator: "\t").last
            if let caught, let mask = UInt64(caught, radix: 16), mask & (1 << UInt64(SIGINT - 1)) != 0 { return }
            usleep(10_000)
        }
    }

    /// Sends a signal, and waits until a thread of the program has taken it: on a busy machine that takes a while.
    func send(_ signal: Int32) {
        process.send(signal)
        for _ in 0..<6000 {
            let status = (try? String(contentsOfFile: "/proc/\(process.processID)/status", encoding: .utf8)) ?? ""
            let pending = status.split(separator: "\n").first { $0.hasPrefix("ShdPnd:") }?.split(separator: "\t").last
            guard let pending, let mask = UInt64(pending, radix: 16), mask & (1 << UInt64(signal - 1)) != 0 else {
                return
            }
            usleep(10_000)
        }
    }

    /// Waits for the end. A process that a signal ended has the signal's number as its status, 128 added.
    func wait() throws -> Finished {
        let status = process.wait()
        return Finished(
            status: status, output: try String(contentsOfFile: folder.path("out"), encoding: .utf8),
            errors: try String(contentsOfFile: folder.path("err"), encoding: .utf8))
    }

    private static func file(_ path: String) throws -> FileHandle {
        try Data().write(to: URL(fileURLWithPath: path))
        return try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }
}

/// The input of the tests.
enum Prompts {
    /// A tiny Llama with a byte-level tokenizer, 512 positions.
    static let model = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("LlamaEngineTests/Fixtures/checkpoints/llama-bf16").path

    /// The beginning that all prompts of a group have in common: 180 tokens or more.
    static func beginning(_ group: Int) -> String {
        (0..<30).map { "group \(group) says \($0 * (group + 3)); " }.joined()
    }

    /// `count` lines in two groups that share a beginning each.
    static func lines(_ count: Int, fields: String = "") -> String {
        (0..<count).map { index in
            line(id: "p\(index)", prompt: "\(beginning(index % 2)) question \(index)", fields: fields)
        }.joined()
    }

    /// One line of input.
    static func line(id: String, prompt: String, fields: String = "") -> String {
        #"{"id": "\#(id)", "prompt": "\#(prompt)"\#(fields)}"# + "\n"
    }
}

extension [JSONLine] {
    /// The replies by id.
    var replies: [String: [UInt32]] {
        Dictionary(compactMap { line in line.tokens.map { (line.id ?? "", $0) } }, uniquingKeysWith: { $1 })
    }
}

/// Waits until the file at `path` has `count` whole lines, or a minute has passed; the lines that it has.
func waitForLines(_ count: Int, in path: String) throws -> [String] {
    for _ in 0..<6000 {
        let text = (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).dropLast()
        if lines.count >= count { return lines.map(String.init) }
        usleep(10_000)
    }
    return []
}
