// Arguments that are easily mistaken: sizes without a unit, mistyped commands, files where folders belong.

import ArgumentParser
import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@testable import pfx

@Suite("A size on the command line")
struct SizeArgumentTests {
    @Test("without a unit is refused when it is small, by every option that takes one")
    func bareNumbers() throws {
        let sample = try Sample()
        let pages = try Run("ls", sample.path).output
        let run = try Run("trim", sample.path, "--to", "10")
        #expect(run.status == 64)
        #expect(run.errors.contains("10 bytes? Say 10GiB"))
        #expect(try Run("ls", sample.path).output == pages, "nothing was evicted")
        for option in ["--quota", "--hot-bytes", "--kv-memory"] {
            let run = try Run(
                "generate", "--model", Prompts.model, "--prompt", "x", "--store", sample.path, option, "512")
            #expect(run.status == 64, "\(option)")
            #expect(run.errors.contains("512 bytes? Say 512GiB"), "\(option)")
        }
    }

    @Test("that is not given for the quota leaves it as it is; one below what is in use says what it evicts")
    func quota() throws {
        let sample = try Sample()
        let generate = ["generate", "--model", Prompts.model, "--prompt", "x", "--max-new-tokens", "1", "--store"]
        let plain = try Run(generate + [sample.path])
        #expect(plain.status == 0 && !plain.errors.contains("quota"), "\(plain.errors)")
        #expect(try Run("info", sample.path, "--json").json()["quota_bytes"] as? Int == 64 << 20)
        let lower = try Run(generate + [sample.path, "--quota", "32MiB"])
        #expect(lower.status == 0 && !lower.errors.contains("The quota changes"), "\(lower.errors)")
        #expect(try Run("info", sample.path, "--json").json()["quota_bytes"] as? Int == 32 << 20)
        let model = try GeneratedModel(
            "large", layout: KVLayout(layers: 8, kvHeads: 8, headDimension: 64, element: .bf16, pageSize: 16))
        let store = try Store(at: sample.path)
        try store.space(model.identity).insertGenerated((0..<640).map { TokenID($0) }, by: model)
        try store.close()
        let lowest = try Run(generate + [sample.path, "--quota", "4MiB"])
        let notice = "pfx: The quota changes from 32 MiB to 4 MiB"
        #expect(lowest.status == 0 && lowest.errors.contains(notice), "\(lowest.errors)")
    }

    @Test("is bytes when it is large, zero, or says so")
    func sizes() throws {
        #expect(try SizeArgument.parse("0") == .zero)
        #expect(try SizeArgument.parse("10B") == ByteCount(10))
        #expect(try SizeArgument.parse("4194304") == .mebibytes(4))
        #expect(try SizeArgument.parse("1.5GiB") == .mebibytes(1536))
        for wrong in ["10", "4194303", "1.5", "much", "-1", ""] {
            #expect(throws: ValidationError.self, "\(wrong)") { try SizeArgument.parse(wrong) }
        }
    }

    @Test("may be a share of the quota for trim")
    func shares() throws {
        #expect(try TrimTarget.parse("50%").bytes(of: .gibibytes(20)) == .gibibytes(10))
        #expect(try TrimTarget.parse("0%").bytes(of: .gibibytes(20)) == .zero)
        #expect(try TrimTarget.parse("1GiB") == .size(.gibibytes(1)))
        for wrong in ["101%", "-1%", "%", "x%", "nan%"] {
            #expect(throws: ValidationError.self, "\(wrong)") { try TrimTarget.parse(wrong) }
        }
        let sample = try Sample()
        #expect(try Run("trim", sample.path, "--to", "50%").output.hasPrefix("Evicted 0 pages"))
    }

    @Test("is what trim would reach, and --dry-run evicts nothing")
    func dryRun() throws {
        let sample = try Sample()
        _ = try Run("pin", sample.path, sample.hashes(Sample.second).last?.short ?? "")
        let pages = try Run("ls", sample.path, "--json").json()["pages"] as? [[String: Any]]
        for target in ["0", "20KiB", "30KiB", "1GiB"] {
            let rehearsed = try Run("trim", sample.path, "--to", target, "--dry-run", "--json")
            let text = try Run("trim", sample.path, "--to", target, "--dry-run")
            #expect(text.output.hasPrefix("Would evict "))
            #expect(try (Run("ls", sample.path, "--json").json()["pages"] as? [Any])?.count == pages?.count)
            let copy = NSTemporaryDirectory() + "/pfx-trim-" + UUID().uuidString
            try FileManager.default.copyItem(atPath: sample.path, toPath: copy)
            defer { try? FileManager.default.removeItem(atPath: copy) }
            let done = try Run("trim", copy, "--to", target, "--json")
            #expect(rehearsed.status == done.status && rehearsed.output == done.output, "\(target)")
        }
    }
}

@Suite("A mistaken argument")
struct MistakenArgumentTests {
    @Test("in the place of a command is reported with the command that is meant")
    func commands() throws {
        let run = try Run("verfy", "kv")
        #expect(run.status == 64)
        #expect(run.errors.contains("There is no command 'verfy'. Did you mean 'verify'?"))
        #expect(try !Run("something").errors.contains("Did you mean"))
        #expect(Spelling.distance("verfy", "verify") == 1)
        #expect(Spelling.distance("", "ls") == 2 && Spelling.distance("tree", "tree") == 0)
    }

    @Test("that is a file where a folder belongs, or a folder where a file belongs, is reported as such")
    func filesAndFolders() throws {
        let sample = try Sample()
        let file = sample.path + "/data.mdb"
        #expect(try Run("info", file).errors.hasPrefix("pfx: \(file) is a file. Name the folder"))
        let folder = try TemporaryFolder()
        let model = ["--model", Prompts.model]
        let cases = [
            ["warm", "--store", folder.path("kv"), "--input", folder.path] + model,
            ["batch", "--no-store", "--input", folder.path] + model,
            ["generate", "--prompt-file", folder.path] + model,
            ["generate", "--prompt", "x", "--store", folder.path("kv"), "--salt-file", folder.path] + model,
        ]
        for arguments in cases {
            let run = try Run(arguments)
            #expect(run.status == 66, "\(arguments)")
            #expect(run.errors == "pfx: \(folder.path) is a folder. Name a file, or - for standard input.\n")
        }
        let output = try Program.run(
            ["batch", "--no-store", "--input", "-", "--output", folder.path] + model, input: Prompts.lines(1))
        #expect(output.status == 73 && output.errors.contains("Name a file, not a folder."))
    }

    @Test("of the engine is reported by the name of its flag")
    func engineOptions() throws {
        let model = ["generate", "--model", Prompts.model, "--prompt", "x", "--no-store"]
        for (option, value) in [("--page-size", "17"), ("--threads", "0")] {
            let run = try Run(model + [option, value])
            #expect(run.status == 64)
            #expect(run.errors.hasPrefix("pfx: \(option) is out of bounds: \(value) is "), "\(run.errors)")
        }
        let run = try Run(
            ["batch", "--model", Prompts.model, "--input", "/dev/null", "--no-store", "--parallel", "0"])
        #expect(run.errors.hasPrefix("pfx: --parallel is out of bounds: 0 is "), "\(run.errors)")
        #expect(try Run(model + ["--kv-memory", "1KiB"]).errors.contains("Raise --kv-memory"))
    }
}
