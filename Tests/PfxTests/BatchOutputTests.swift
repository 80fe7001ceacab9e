// The output file of `pfx batch`: finished replies are never lost, and no two runs write one file.

import Foundation
import StoreTestKit
import TestKit
import Testing

@Suite("The output file of pfx batch")
struct BatchOutputTests {
    let folder: TemporaryFolder
    var output: String { folder.path("out.jsonl") }

    init() throws { folder = try TemporaryFolder() }

    private func batch(_ input: String, _ more: String..., to output: String? = nil) throws -> Finished {
        try Program.run(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-", "--max-new-tokens", "2"]
                + ["--output", output ?? self.output] + more, input: input)
    }

    private func content() throws -> String { try String(contentsOfFile: output, encoding: .utf8) }

    private func write(_ text: String) throws { try Data(text.utf8).write(to: URL(fileURLWithPath: output)) }

    @Test("is refused when it holds something and nothing says what to do with that")
    func existing() throws {
        try write("earlier\n")
        let run = try batch(Prompts.lines(1))
        #expect(run.status == 73)
        #expect(run.errors.hasPrefix("pfx: The output file \(output) exists. Give --resume"))
        #expect(try content() == "earlier\n")
        #expect(try batch(Prompts.lines(1), "--append", "--overwrite").status == 64)
        try write("")
        #expect(try batch(Prompts.lines(1)).status == 0, "an empty file has nothing to lose")
    }

    @Test("is replaced with --overwrite and added to with --append")
    func overwriteAndAppend() throws {
        try write("earlier\n")
        #expect(try batch(Prompts.lines(1), "--append").status == 0)
        #expect(try content().hasPrefix("earlier\n{"))
        #expect(try content().split(separator: "\n").count == 2)
        #expect(try batch(Prompts.lines(2), "--overwrite").status == 0)
        #expect(try JSONLine.all(in: content()).map(\.id) == ["p0", "p1"])
        try write("half a li")
        let run = try batch(Prompts.lines(1), "--append")
        #expect(run.status == 73 && run.errors.contains("ends inside a line"))
        #expect(try content() == "half a li")
    }

    @Test("is continued with --resume: whole lines stay, their requests are skipped, half a line is cut")
    func resume() throws {
        let whole = try batch(Prompts.lines(6), to: folder.path("whole.jsonl"))
        #expect(whole.status == 0)
        let expected = try JSONLine.all(in: String(contentsOfFile: folder.path("whole.jsonl"), encoding: .utf8))
        #expect(try batch(Prompts.lines(3) + "nonsense\n").status == 1)
        let first = try content()
        try write(first + #"{"id":"p3","text":"half"#)
        let input =
            Prompts.lines(3) + "nonsense\n" + Prompts.lines(6).split(separator: "\n")[3...].joined(separator: "\n")
        let run = try batch(input, "--resume")
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.errors.contains("3 done, 0 refused, 4 skipped"))
        #expect(try content().hasPrefix(first))
        #expect(try JSONLine.all(in: content()).replies == expected.replies)
        #expect(try content().split(separator: "\n").count == 7)
        let again = try batch(input, "--resume")
        #expect(again.status == 0 && again.errors.contains("0 done, 0 refused, 7 skipped"))
    }

    @Test("is made by --resume when it is missing, and left alone when another program wrote it")
    func resumeOther() throws {
        #expect(try batch(Prompts.lines(1), "--resume").status == 0)
        try write("a,b\n1,2\nhalf")
        let run = try batch(Prompts.lines(1), "--resume")
        #expect(run.status == 65 && run.errors.contains("Line 1 of \(output) is not a line that `pfx batch` writes."))
        #expect(try content() == "a,b\n1,2\nhalf")
    }

    @Test(
        "belongs to one run: a second run is refused and takes nothing away",
        arguments: [nil, "--overwrite", "--resume"])
    func locked(option: String?) throws {
        let first = try Program(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-", "--max-new-tokens", "2"]
                + ["--output", output])
        try first.write(Prompts.lines(2))
        #expect(try waitForLines(2, in: output).count == 2)
        let second = try Program.run(
            ["batch", "--model", Prompts.model, "--no-store", "--input", "-", "--output", output]
                + [option].compactMap(\.self), input: Prompts.lines(1))
        #expect(second.status == 73)
        #expect(second.errors.hasPrefix("pfx: Another run is writing \(output). Name another output file, or wait"))
        first.send(SIGINT)
        #expect(try first.wait().status == 130)
        #expect(try JSONLine.all(in: content()).count == 2)
    }

    @Test("is not touched by a run whose tokenizer is refused, which says so once")
    func refusedTokenizer() throws {
        let model = folder.path("model")
        try FileManager.default.copyItem(atPath: Prompts.model, toPath: model)
        let file = URL(fileURLWithPath: model + "/tokenizer.json")
        let json = try String(contentsOf: file, encoding: .utf8)
        let refusedJSON = json.replacingOccurrences(
            of: #""type"\s*:\s*"BPE""#, with: #""type": "Unigram""#, options: .regularExpression)
        #expect(refusedJSON != json)
        try Data(refusedJSON.utf8).write(to: file)
        func run(_ input: String, _ more: String...) throws -> Finished {
            try Program.run(
                ["batch", "--model", model, "--no-store", "--input", "-", "--max-new-tokens", "2"] + more, input: input)
        }
        try write("earlier\n")
        let refused = try run(Prompts.lines(50), "--output", output, "--overwrite")
        #expect(refused.status == 65)
        #expect(refused.errors.split(separator: "\n").count == 1, "\(refused.errors)")
        #expect(refused.errors.contains("tokenizer"))
        #expect(try content() == "earlier\n")
        #expect(try run(Prompts.lines(50), "--output", folder.path("new")).status == 65)
        #expect(!FileManager.default.fileExists(atPath: folder.path("new")))
        #expect(try run(#"{"id": "t", "tokens": [1, 2]}"#).lines().first?.tokens?.count == 2)
    }

    @Test("may be a pipe that is closed: the run ends without a word, with the status of SIGPIPE")
    func closedPipe() throws {
        let pipe = ChildProcess.pipe()
        close(pipe.reading)
        defer { close(pipe.writing) }
        let commands = [(["batch", "--input", "-"], Prompts.lines(3)), (["generate", "--prompt-file", "-"], "Hello")]
        for (command, text) in commands {
            let errors = try FileHandle(forWritingTo: Self.emptyFile(folder.path("err")))
            let input = try FileHandle(forReadingFrom: Self.emptyFile(folder.path("in"), text))
            let process = try ChildProcess(
                ChildProcess.product("pfx"),
                command + ["--model", Prompts.model, "--no-store", "--max-new-tokens", "2"],
                input: input.fileDescriptor, output: pipe.writing, errors: errors.fileDescriptor)
            #expect(process.wait() == 141)
            #expect(try String(contentsOfFile: folder.path("err"), encoding: .utf8) == "")
        }
    }

    private static func emptyFile(_ path: String, _ text: String = "") throws -> URL {
        let url = URL(fileURLWithPath: path)
        try Data(text.utf8).write(to: url)
        return url
    }
}
