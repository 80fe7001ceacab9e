// How `pfx batch` ends: by a signal, by a kill, by an error that is told in one sentence with a status of its own.

import Foundation
import StoreTestKit
import Testing
import TestKit

@Suite("The end of pfx batch")
struct BatchEndTests {
    let folder: TemporaryFolder
    var store: String { folder.path("store") }
    var output: String { folder.path("out.jsonl") }

    init() throws { folder = try TemporaryFolder() }

    private func arguments(_ more: [String]) -> [String] {
        ["batch", "--model", Prompts.model, "--max-new-tokens", "4", "--threads", "1"] + more
    }

    /// Starts a run that has done six requests and waits for more input.
    private func startedRun() throws -> Program {
        let program = try Program(arguments(["--store", store, "--input", "-", "--output", output]))
        try program.write(Prompts.lines(6))
        #expect(try waitForLines(6, in: output).count == 6)
        return program
    }

    private func rerun() throws -> Finished {
        try Program.run(
            arguments(["--store", store, "--input", "-", "--output", output, "--overwrite", "--json"]),
            input: Prompts.lines(12))
    }

    @Test("after SIGKILL leaves whole lines and a sound store; a second run replaces the file if it is told to")
    func killed() throws {
        let program = try startedRun()
        program.send(SIGKILL)
        #expect(try program.wait().status == 128 + SIGKILL)
        #expect(try JSONLine.all(in: String(contentsOfFile: output, encoding: .utf8)).count == 6)
        let verified = try Program.run(["verify", store, "--json"])
        #expect(verified.status == 0)

        let second = try rerun()
        #expect(second.status == 0)
        let lines = try JSONLine.all(in: String(contentsOfFile: output, encoding: .utf8))
        let plain = try Program.run(arguments(["--no-store", "--input", "-"]), input: Prompts.lines(12))
        #expect(lines.count == 12)
        #expect(try lines.replies == plain.lines().replies)
        #expect(try Program.run(["verify", store]).status == 0)
    }

    @Test("after a signal is in order: what is complete is written and stored", arguments: [SIGINT, SIGTERM])
    func interrupted(signal: Int32) throws {
        let program = try startedRun()
        program.send(signal)
        let run = try program.wait()
        #expect(run.status == 128 + signal)
        #expect(run.errors.contains("6 done, 0 refused, then interrupted"))
        #expect(try JSONLine.all(in: String(contentsOfFile: output, encoding: .utf8)).count == 6)
        let second = try rerun()
        let cold = try JSONLine.one(in: second.output).reusedTokens?.cold ?? 0
        #expect(cold > 300, "both groups' beginnings come from disk")
    }

    @Test("before the first reply sums up nothing, and makes no rate of it", arguments: ["batch", "generate"])
    func interruptedAtOnce(command: String) throws {
        let options = command == "batch" ? ["--input", "-"] : ["--prompt-file", "-"]
        let program = try Program([command, "--model", Prompts.model, "--no-store"] + options)
        try program.waitForHandler()
        program.send(SIGINT)
        // Neither is needed by a run that has ended by now.
        try? program.write("Hello")
        try? program.closeInput()
        let run = try program.wait()
        #expect(run.status == 130)
        #expect(run.errors.hasPrefix("requests  0 done, 0 refused, then interrupted\ntime "), "\(run.errors)")
        #expect(!run.errors.contains("tokens"))
        #expect(run.errors.contains("s of opening model and store"))
    }

    @Test("by a mistake on the command line or in what it names has a status and a sentence of its own")
    func mistakes() throws {
        let file = folder.path("file")
        try Data(Prompts.lines(1).utf8).write(to: URL(fileURLWithPath: file))
        let short = folder.path("short")
        try Data("short\n".utf8).write(to: URL(fileURLWithPath: short))
        let ok = ["--input", file, "--no-store"]
        let cases: [(arguments: [String], status: Int32, sentence: String)] = [
            (["batch", "--model", Prompts.model, "--input", file], 64, "--no-store"),
            (["batch", "--model", Prompts.model, "--max-new-tokens", "-1"] + ok, 64, "--max-new-tokens"),
            (arguments(ok + ["--temperature", "200"]), 64, "temperature"),
            (arguments(ok + ["--page-size", "17"]), 64, "--page-size"),
            (arguments(ok + ["--kv-dtype", "fp8"]), 64, "fp8"),
            (arguments(ok + ["--output", file]), 64, "the same file"),
            (arguments(ok + ["--kv-memory", "1KiB"]), 64, "KV"),
            (arguments(["--input", folder.path("none"), "--no-store"]), 66, "cannot be opened"),
            (["batch", "--model", folder.path("none")] + ok, 66, "does not exist"),
            (arguments(["--input", file, "--store", folder.path("none/none")]), 66, "not a folder"),
            (arguments(["--input", file, "--store", folder.path]), 69, "holds no store"),
            (arguments(["--input", file, "--store", store, "--salt-file", folder.path("none")]), 66, "salt file"),
            (arguments(["--input", file, "--store", store, "--salt-file", short]), 65, "16 to 4096 bytes"),
            (arguments(ok + ["--output", folder.path("none/out")]), 73, "cannot be written"),
            (arguments(ok + ["--output", "/dev/full"]), 73, "cannot be written"),
        ]
        for (arguments, status, sentence) in cases {
            let run = try Program.run(arguments)
            #expect(run.status == status, "\(arguments): \(run.errors)")
            #expect(run.errors.contains(sentence), "\(arguments): \(run.errors)")
        }
        #expect(try String(contentsOfFile: file, encoding: .utf8) == Prompts.lines(1), "the input is as it was")
    }

    @Test("by a damaged checkpoint names what is damaged and leaves an earlier output alone")
    func damagedCheckpoint() throws {
        let model = folder.path("model")
        try FileManager.default.copyItem(atPath: Prompts.model, toPath: model)
        try Data("earlier".utf8).write(to: URL(fileURLWithPath: output))
        let weights = try Data(contentsOf: URL(fileURLWithPath: model + "/model.safetensors"))
        try weights.prefix(weights.count - 100).write(to: URL(fileURLWithPath: model + "/model.safetensors"))
        let run = try Program.run(
            ["batch", "--model", model, "--no-store", "--input", "-", "--output", output, "--overwrite"],
            input: Prompts.lines(1))
        #expect(run.status == 65)
        #expect(run.errors.contains("model.safetensors"))
        #expect(try String(contentsOfFile: output, encoding: .utf8) == "earlier")
    }

    @Test("without a tokenizer refuses texts and takes token ids")
    func noTokenizer() throws {
        let model = folder.path("model")
        try FileManager.default.copyItem(atPath: Prompts.model, toPath: model)
        try FileManager.default.removeItem(atPath: model + "/tokenizer.json")
        let run = try Program.run(
            ["batch", "--model", model, "--no-store", "--input", "-", "--max-new-tokens", "2"],
            input: #"{"id": "b", "tokens": [1, 2]}"# + "\n" + Prompts.line(id: "a", prompt: "x"))
        #expect(run.status == 1)
        let lines = try run.lines()
        #expect(lines.first { $0.id == "a" }?.error?.contains("tokenizer.json") == true)
        #expect(lines.first { $0.id == "b" }?.tokens?.count == 2)
        let text = try Program.run(
            ["batch", "--model", model, "--no-store", "--input", "-"], input: Prompts.lines(20))
        #expect(text.status == 66 && text.output.isEmpty)
        #expect(text.errors.split(separator: "\n").count == 1 && text.errors.contains("tokenizer.json"))
    }
}
