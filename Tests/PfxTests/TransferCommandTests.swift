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

    @Test("end with 66 where a file that was named is not there, and name it")
    func missingFiles() throws {
        let none = folder.path("nope")
        let s3 = "s3://b/c?endpoint=https://127.0.0.1:9"
        for arguments in [
            ["info", sample.path, "--key-file", none], ["rekey", sample.path, "--new-key-file", none],
            ["remote", "check", url + "?password_file=\(none)"],
            ["remote", "check", url.replacing("redis:", with: "rediss:") + "?ca=\(none)"],
            ["remote", "check", s3 + "&ca=\(none)"], ["remote", "check", s3 + "&credentials_file=\(none)"],
            ["push", sample.path, "--space", root, "--remote", s3 + "&credentials_file=\(none)"],
        ] {
            let run = try Run(arguments)
            #expect(run.status == 66 && run.errors.contains("There is no file \(none)"), "\(arguments): \(run)")
        }
    }

    @Test("a pull that has no store yet asks for the whole root, and an empty list is called one")
    func smallWords() throws {
        let short = try Run("pull", folder.path("new"), "--remote", url, "--space", String(root.prefix(4)))
        #expect(short.status == 64 && short.errors.contains("all 64 digits"), "\(short)")
        let list = try file("none.jsonl", "")
        let empty = try push("--prompts", list)
        #expect(empty.status == 1 && empty.errors.contains("the list of prompts is empty"), "\(empty)")
        // The row of the remote is one of the table.
        let info = try Run("info", sample.path, "--remote", url).output
        #expect(info.contains("\nlibraries    LMDB") && info.contains("\nremote       redis://"), "\(info)")
    }

    @Test("a pull onto a full disk says so, and the next one goes on when there is room", .enabled(if: geteuid() == 0))
    func fullDisk() throws {
        #expect(try push().status == 0)
        // Too small for a store, and perhaps for its pages.
        for size in ["64k", "128k", "192k"] {
            let script = """
                mount -t tmpfs -o "size=$4" none "$1" || exit 99
                "$2" pull "$1/new" --remote "$3" --space "$5"
                status=$?
                mount -o remount,size=64m "$1"
                "$2" pull "$1/new" --remote "$3" --space "$5" >/dev/null && echo "then all came"
                exit $status
                """
            let words = [folder.path, ChildProcess.product("pfx"), url, size, root]
            let run = try Run(["-m", "sh", "-c", script, "sh"] + words, of: "/usr/bin/unshare")
            guard run.status != 99 else { return }
            #expect(run.status == 73 || run.status == 0 && size != "64k", "\(size): \(run)")
            #expect((run.status == 73) == run.output.contains("not moved"), "\(size): \(run)")
            #expect(run.output.contains("then all came"), "\(size): \(run)")
        }
    }

    @Test("pulls at once into one new folder leave one whole store")
    func together() throws {
        #expect(try push().status == 0)
        for round in 0..<4 {
            let new = folder.path("new-\(round)")
            let script = """
                for number in 1 2; do "$1" pull "$2" --remote "$3" --space "$4" >/dev/null 2>&1 & done; wait
                "$1" pull "$2" --remote "$3" --space "$4" --json
                """
            let run = try Run(["-c", script, "sh", ChildProcess.product("pfx"), new, url, root], of: "/bin/sh")
            #expect(run.status == 0 && run.output.contains("\"moved\" : 0"), "\(run)")
            #expect(try Run("verify", new).status == 0)
        }
    }

    @Test("the benchmark says how much of its pages a remote that is too small has kept")
    func smallRemote() throws {
        try server.ask("config", "set", "maxmemory", "5mb")
        try server.ask("config", "set", "maxmemory-policy", "allkeys-lru")
        let run = try Run(
            "bench", "--model-shape", "demo", "--tokens", "16384", "--repeat", "1", "--store", folder.path, "--remote",
            url)
        #expect(run.status == 1 && run.errors.contains("The remote kept only"), "\(run)")
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
