// `pfx` while a writer of another process stands still.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("pfx while another process stands still in a write", .timeLimit(.minutes(10)))
struct HeldUpTests {
    @Test("shows what is stored")
    func looking() throws {
        let sample = try Sample()
        let holder = try #require(try Worker.stopped(in: sample.path))
        for command in ["info", "spaces", "ls", "tree", "verify"] {
            let run = try Run(command, sample.path)
            #expect(run.status == 0, "\(command): \(run.errors)")
        }
        #expect(try Run("info", sample.path).output.contains("process \(holder.processID), store-worker"))
        #expect(holder.goOn() == 0)
    }

    @Test("says who writes when it cannot")
    func working() throws {
        let sample = try Sample()
        let holder = try #require(try Worker.stopped(in: sample.path))
        let run = try Run("pin", sample.path, sample.hashes(Sample.document)[0].description)
        #expect(run.status == 69)
        let words = "pfx: Process \(holder.processID) (store-worker, which opened it "
        #expect(run.errors.hasPrefix(words), "\(run.errors)")
        #expect(holder.goOn() == 0)
    }

    @Test(
        "ends after a signal, whatever it was going to write",
        arguments: ["pin", "unpin", "trim", "forget", "rekey"], [SIGINT, SIGTERM])
    func signalled(command: String, signal: Int32) throws {
        let keys = [String(repeating: "0123456789abcdef", count: 4), String(repeating: "fedcba9876543210", count: 4)]
        let sample = try Sample(key: command == "rekey" ? keys[0] : nil)
        let files = (0..<2).map { sample.path + ".key\($0)" }
        defer { for file in files { try? FileManager.default.removeItem(atPath: file) } }
        for (key, file) in zip(keys, files) {
            try Data(key.utf8).write(to: URL(fileURLWithPath: file))
            unsafe chmod(file, 0o600)
        }
        let arguments = [
            "pin": [sample.hashes(Sample.document)[0].description],
            "unpin": [sample.hashes(Sample.document)[0].description],
            "trim": ["--to", "1MiB"], "forget": [sample.model.identity.spaceRoot.description],
            "rekey": ["--key-file", files[0], "--new-key-file", files[1]],
        ]
        let holder = try #require(try Worker.stopped(in: sample.path))
        let program = try ChildProcess(
            ChildProcess.product("pfx"), [command, sample.path] + (arguments[command] ?? []))
        // Long enough for it to wait for the writer, and much shorter than it would wait.
        usleep(700_000)
        program.send(signal)
        #expect(program.wait() == 128 + signal)
        #expect(holder.goOn() == 0)
        let key = command == "rekey" ? ["--key-file", files[0]] : []
        #expect(try Run(["verify", sample.path] + key).status == 0)
    }

    @Test("computes without storing, and ends after a signal", arguments: [SIGINT, SIGTERM])
    func interrupted(signal: Int32) throws {
        let folder = try TemporaryFolder()
        let (store, output) = (folder.path("store"), folder.path("out.jsonl"))
        let options = ["batch", "--model", Prompts.model, "--max-new-tokens", "4", "--threads", "1", "--store", store]
        #expect(try Program.run(options + ["--input", "-"], input: Prompts.lines(2)).status == 0)
        let holder = try #require(try Worker.stopped(in: store))
        let program = try Program(options + ["--input", "-", "--output", output])
        try program.write(Prompts.lines(6))
        #expect(try waitForLines(6, in: output).count == 6)
        program.send(signal)
        let run = try program.wait()
        #expect(run.status == 128 + signal)
        #expect(run.errors.contains("interrupted while another process was writing"), "\(run.errors)")
        #expect(holder.goOn() == 0)
        #expect(try Run("verify", store).status == 0)
    }
}
