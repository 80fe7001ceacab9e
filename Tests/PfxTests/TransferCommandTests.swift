// What `pfx push`, `pfx pull` and `pfx remote check` say when not all is well.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("pfx push and pfx pull, where not all is well", .serialized)
struct TransferCommandTests {
    let server: RedisServer
    let folder: TemporaryFolder
    let sample: Sample
    var url: String { "redis://127.0.0.1:\(server.port)" }
    var root: String { sample.model.identity.spaceRoot.description }

    init() throws {
        server = try RedisServer()
        folder = try TemporaryFolder()
        sample = try Sample()
    }

    private func push(_ more: String...) throws -> Run {
        try Run(["push", sample.path, "--remote", url, "--space", root] + more)
    }

    private func file(_ name: String, _ text: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: folder.path(name)))
        return folder.path(name)
    }

    @Test("name the file and the line of a prompt that cannot be read, and its own remedy")
    func prompts() throws {
        let good = try file("good.jsonl", "{\"tokens\": \(Sample.first)}\n")
        let bad = try file("bad.jsonl", "{\"tokens\": [1]}\n{\"x\": 7}\n")
        let wrong = try push("--prompts", good, "--prompts", bad)
        #expect(wrong.status == 65 && wrong.errors.contains("bad.jsonl, line 2: It has neither"), "\(wrong.errors)")
        #expect(wrong.errors.hasSuffix("Correct the line.\n") && !wrong.errors.contains("--model"))
        for name in ["text.txt", "text.jsonl"] {
            let text = try push("--prompts", try file(name, "{\"prompt\": \"Hello\"}"))
            #expect(text.status == 65 && text.errors.contains("\(name)") && text.errors.contains("Give --model;"))
            #expect(!text.errors.contains("does not exist"), "\(text.errors)")
        }
        let empty = try push("--prompts", try file("empty.txt", ""), "--model", Prompts.model)
        #expect(empty.status == 65 && empty.errors.hasSuffix("The prompt is empty. Correct the file.\n"))
        let none = try push("--prompts", folder.path("none.txt"))
        #expect(none.status == 66 && none.errors.contains("No such file"))
        let odd = try push("--prompts", try file("odd.jsonl", "{\"tokens\": \(Sample.first), \"promptt\": 1}\n"))
        #expect(odd.status == 0 && odd.errors.contains("ignored: promptt (1 line)"), "\(odd)")
    }

    @Test("read a text from a pipe")
    func pipes() throws {
        let script =
            "printf 'Hello you' | \"$0\" push \"$1\" --remote \"$2\" --space \"$3\" --prompts /dev/stdin --model \"$4\""
        let words = [ChildProcess.product("pfx"), sample.path, url, root, Prompts.model]
        let run = try Run(["-c", script] + words, of: "/bin/sh")
        #expect(run.output.contains("1: 0 whole") && !run.errors.contains("cannot be read"), "\(run)")
        let closed = "exec \"$0\" push \"$1\" --remote \"$2\" --space \"$3\" --prompts - <&-"
        let nothing = try Run(["-c", closed] + words, of: "/bin/sh")
        #expect(nothing.status == 74 && !nothing.errors.contains("disk"), "\(nothing)")
    }

    @Test("leave no folder behind a pull that fails, and say of a remote without matches what is true")
    func nothing() throws {
        #expect(try push().status == 0)
        let new = folder.path("new")
        let list = try file("list.jsonl", "{\"tokens\": [9999]}\n")
        func pull(_ more: String...) throws -> Run {
            try Run(["pull", new, "--space", root] + more)
        }
        #expect(try pull("--remote", "bad://x").status == 64)
        #expect(try pull("--remote", url, "--prompts", folder.path("none.jsonl")).status == 66)
        #expect(try pull("--remote", url, "--under", "abc").status == 64)
        let unlike = try pull("--remote", url, "--prompts", list)
        #expect(unlike.status == 1 && unlike.output.contains("1 not at all"), "\(unlike)")
        #expect(unlike.errors.contains("no prompt begins") && !unlike.errors.contains("Sealed"))
        #expect(!FileManager.default.fileExists(atPath: new))
        let user = "redis://nokeys@127.0.0.1:\(server.port)"
        try server.ask("acl", "setuser", "nokeys", "on", "nopass", "~other:*", "+@all")
        for refused in try [pull("--remote", user), Run("info", sample.path, "--remote", user)] {
            #expect(refused.status == 69 && refused.errors.contains("NOPERM"), "\(refused)")
        }
    }

    @Test("a check of several remotes tells of each, whichever is down")
    func checks() throws {
        let none = "redis://127.0.0.1:\(try RedisServer.freePort())"
        for both in ["\(url) \(none)", "\(none) \(url)"] {
            let run = try Run("remote", "check", both)
            #expect(run.status == 69 && run.output.contains("reads and writes"), "\(run)")
            #expect(run.output.contains("\(none) did not do"))
            let json = try JSONSerialization.jsonObject(with: Data(Run("remote", "check", both, "--json").output.utf8))
            let reports = try #require(json as? [[String: Any]])
            #expect(reports.count == 2 && reports.count { $0["error"] != nil } == 1)
        }
        try server.ask("acl", "setuser", "nokeys", "on", "nopass", "~other:*", "+@all")
        let blind = try Run("remote", "check", "redis://nokeys@127.0.0.1:\(server.port)")
        #expect(blind.status == 69 && blind.output.contains("~pfx:*"), "\(blind)")
        let bench = try Run(
            "bench", "--model-shape", "demo", "--tokens", "64", "--repeat", "1", "--store", folder.path, "--remote",
            "redis://nokeys@127.0.0.1:\(server.port)")
        #expect(bench.status == 69 && bench.errors.contains("pfx remote check"), "\(bench)")
    }
}
