// What the commands print about a store, for people and for programs.

import Foundation
import LlamaEngine
import PrefixStore
import StoreTestKit
import Testing

@Suite("The output of pfx")
struct OutputTests {
    static let commands = ["info", "spaces", "ls", "tree", "show", "verify", "trim", "pin", "unpin", "rekey", "forget"]
    static let runCommands = ["batch", "generate", "warm", "bench"]
    /// Those that need the URL of a remote.
    static let fleetCommands = ["push", "pull"]

    @Test("begins with help that is as recorded")
    func help() throws {
        let list = try Run("--help").output
        #expect(try Run().output == list)
        try Snapshot.check(list, "help")
        for command in Self.commands + Self.runCommands + Self.fleetCommands {
            #expect(list.contains("\n  \(command) "))
            // The default number of threads is that of the machine.
            let help = try Run(command, "--help").output.replacingOccurrences(
                of: #"(?<=compute\. )\(default: \d+\)"#, with: "(default: CORES)", options: .regularExpression)
            #expect(help.contains("EXAMPLES:\n  pfx \(command) ") || help.contains("\n  pfx \(command) "))
            try Snapshot.check(help, "help-\(command)")
        }
    }

    @Test("is as recorded for a store of two spaces")
    func snapshots() throws {
        let sample = try Sample()
        for command in ["info", "spaces", "tree", "verify"] {
            let run = try Run(command, sample.path)
            #expect(run.status == 0)
            #expect(run.errors.isEmpty)
            try Snapshot.check(run.output, command, of: sample)
        }
        try Snapshot.check(Run("ls", sample.path, "--order", "position").output, "ls", of: sample)
        let page = sample.hashes(Sample.first)[1].short
        try Snapshot.check(Run("show", sample.path, page).output, "show", of: sample)
        try Snapshot.check(Run("tree", sample.path, "--reveal").output, "tree-reveal", of: sample)
        try Snapshot.check(Run("tree", sample.path, "--depth", "1", "--limit", "1").output, "tree-short", of: sample)
    }

    @Test("is as recorded for blocks, which have no token ids to show")
    func blocks() throws {
        let sample = try Sample(blocks: true)
        let root = sample.blocks.identity.spaceRoot
        let runs = try Run("tree", sample.path, "--space", root.short, "--reveal", "--json")
        try Snapshot.check(runs.output, "json-tree-blocks", of: sample)
        let tree = try Run("tree", sample.path, "--space", root.short, "--reveal")
        try Snapshot.check(tree.output, "tree-blocks", of: sample)
        let list = try Run("ls", sample.path, "--space", root.short, "--order", "position")
        try Snapshot.check(list.output, "ls-blocks", of: sample)
        try Snapshot.check(Run("spaces", sample.path).output, "spaces-blocks", of: sample)
        let last = PrefixHash.block([3], in: root).short
        try Snapshot.check(Run("show", sample.path, last, "--reveal").output, "show-block", of: sample)
        let shown = try Run("show", sample.path, last, "--reveal", "--json").json()
        #expect(shown["tokens"] == nil && shown["depth"] as? Int == 3)
    }

    @Test("has the JSON fields that are recorded")
    func fields() throws {
        let sample = try Sample()
        for command in ["info", "spaces", "tree", "verify"] {
            try Snapshot.check(Run(command, sample.path, "--json").output, "json-\(command)", of: sample)
        }
        let list = try Run("ls", sample.path, "--order", "position", "--limit", "2", "--json").output
        try Snapshot.check(list, "json-ls", of: sample)
        let page = sample.hashes(Sample.first)[1].short
        try Snapshot.check(Run("show", sample.path, page, "--json").output, "json-show", of: sample)
        try Snapshot.check(
            Run("trim", sample.path, "--to", "1MiB", "--dry-run", "--json").output, "json-trim", of: sample)
    }

    @Test("is one JSON object with --json, whatever the command")
    func json() throws {
        let sample = try Sample()
        let page = sample.hashes(Sample.first)[1]
        let info = try Run("info", sample.path, "--json").json()
        #expect(info["pages"] as? Int == 10)
        #expect(info["tails"] as? Int == 3)
        #expect(info["quota_bytes"] as? Int == 64 << 20)
        let spaces = try Run("spaces", sample.path, "--json").json()
        #expect((spaces["spaces"] as? [Any])?.count == 2)
        let differences = try #require(spaces["differences"] as? [[String: Any]])
        #expect(differences.map { $0["fields"] as? [String] } == [["salt"]])
        let list = try Run("ls", sample.path, "--json", "--limit", "3").json()
        let pages = try #require(list["pages"] as? [[String: Any]])
        #expect(pages.count == 3)
        #expect(pages.allSatisfy { $0["tokens"] == nil && $0["text"] == nil })
        let tree = try Run("tree", sample.path, "--json").json()
        #expect((tree["spaces"] as? [Any])?.count == 2)
        let shown = try Run("show", sample.path, page.description, "--json").json()
        #expect((shown["page"] as? [String: Any])?["hash"] as? String == page.description)
        #expect(shown["depth"] as? Int == 2)
        let verified = try Run("verify", sample.path, "--json").json()
        #expect(verified["is_sound"] as? Bool == true)
        #expect(verified["pages"] as? Int == 10)
        let pinned = try Run("pin", sample.path, page.description, "--json").json()
        #expect(pinned["pages"] as? Int == 2)
        let trimmed = try Run("trim", sample.path, "--to", "1B", "--json")
        #expect(trimmed.status == 1)
        #expect(try trimmed.json()["pages"] as? Int == 8)
    }

    @Test("lists the pages of one space, in the order and number asked for")
    func lists() throws {
        let sample = try Sample()
        let root = sample.salted.identity.spaceRoot.short
        let lines = try Run("ls", sample.path, "--space", root).output.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines.dropFirst().allSatisfy { $0.contains(root) })
        let short = try Run("ls", sample.path, "--limit", "2").output
        #expect(short.contains("The first 2; --limit shows more."))
        #expect(try Run("tree", sample.path, "--space", root).output.hasPrefix("\(root)  demo"))
    }

    @Test("shows token ids only with --reveal, and texts only with a tokenizer besides")
    func reveal() throws {
        let sample = try Sample()
        let page = sample.hashes(Sample.first)[0].description
        #expect(try !Run("show", sample.path, page).output.contains("says"))
        #expect(try Run("show", sample.path, page, "--reveal").output.contains("0 1 2 3 4 5 6 7 8 9 10"))
        let hidden = try Run("show", sample.path, page, "--json").json()
        #expect(hidden["tokens"] == nil)
        let ids = try Run("show", sample.path, page, "--reveal", "--json").json()
        #expect(ids["tokens"] as? [Int] == Array(0..<16))
        #expect(ids["text"] == nil)
    }

    @Test("shows the text of a page by the tokenizer that is named, as a file or as a checkpoint's folder")
    func texts() throws {
        let sample = try Sample()
        let page = sample.hashes(Sample.first)[4].description
        let folder =
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent().path
            + "/LlamaEngineTests/Fixtures/tokenizers/gpt2"
        let tokenizer = try Tokenizer(path: folder + "/tokenizer.json")
        let text = tokenizer.decode(Array(Sample.first[64...]))
        #expect(!text.isEmpty)
        for path in [folder, folder + "/tokenizer.json"] {
            let json = try Run("show", sample.path, page, "--reveal", "--tokenizer", path, "--json").json()
            #expect(json["text"] as? String == text)
        }
        let shown = try Run("tree", sample.path, "--reveal", "--tokenizer", folder)
        #expect(shown.status == 0)
        #expect(shown.output.contains("\""))
        #expect(shown.output.utf8.allSatisfy { $0 == 10 || $0 >= 32 })
    }

    @Test("pins and unpins the whole path, and trims all but it")
    func pins() throws {
        let sample = try Sample()
        let path = sample.hashes(Sample.first)
        let last = path[path.count - 1].short
        #expect(try Run("pin", sample.path, last).output == "Pinned 5 pages, up to \(last).\n")
        #expect(try Run("ls", sample.path).output.contains("tail, pinned"))
        let trim = try Run("trim", sample.path, "--to", "0")
        #expect(trim.status == 1)
        #expect(trim.output.hasPrefix("Evicted 5 pages"))
        #expect(trim.output.contains("the rest is pinned"))
        #expect(try Run("unpin", sample.path, last).output == "Removed a pin from 5 pages, up to \(last).\n")
        let rest = try Run("trim", sample.path, "--to", "0")
        #expect(rest.status == 0)
        #expect(rest.output == "Evicted 5 pages, 24.2 KiB; 0 B in use.\n")
        #expect(try Run("ls", sample.path).output == "No pages.\n")
    }

    @Test("gives a prefix a name, lists it, takes it in place of a hash, and removes it, even when the page is gone")
    func names() throws {
        let sample = try Sample()
        let last = sample.hashes(Sample.first)[4].short
        #expect(try Run("ls", sample.path, "--names").output == "No names.\n")
        let pinned = try Run("pin", sample.path, last, "--name", "syst\u{e8}me")
        #expect(pinned.output == "Pinned 5 pages, up to \(last). It is now called syst\u{e8}me.\n")
        try Snapshot.check(Run("ls", sample.path, "--names").output, "ls-names", of: sample)
        let json = try Run("ls", sample.path, "--names", "--json").json()
        let name = try #require((json["names"] as? [[String: Any]])?.first)
        #expect(name["name"] as? String == "syst\u{e8}me" && name["is_stored"] as? Bool == true)
        #expect(try Run("show", sample.path, "syst\u{e8}me").output.contains(last))
        #expect(try Run("unpin", sample.path, "syst\u{e8}me").output == "Removed a pin from 5 pages, up to \(last).\n")
        #expect(try Run("trim", sample.path, "--to", "0").status == 0)
        #expect(try Run("ls", sample.path, "--names").output.contains("its page is gone"))
        #expect(try Run("pin", sample.path, "syst\u{e8}me").status == 1)
        let removed = try Run("unpin", sample.path, "syst\u{e8}me", "--name", "syst\u{e8}me")
        #expect(removed.status == 0 && removed.output.contains("The name syst\u{e8}me is removed."))
        #expect(try Run("ls", sample.path, "--names").output == "No names.\n")
        let unknown = try Run("unpin", sample.path, last, "--name", "x")
        #expect(unknown.status == 1)
    }

    @Test("removes a name from its own prefix only, and no pin when it does not")
    func namesOfOthers() throws {
        let sample = try Sample()
        let (first, last) = (sample.hashes(Sample.first)[4].short, sample.hashes(Sample.second)[3].short)
        #expect(try Run("pin", sample.path, first, "--name", "first").status == 0)
        #expect(try Run("pin", sample.path, last, "--name", "second").status == 0)
        let other = try Run("unpin", sample.path, first, "--name", "second")
        #expect(other.status == 64 && other.errors.contains("The name is invalid: it is the name of page \(last)."))
        #expect(try Run("ls", sample.path, "--names").output.contains("second"))
        #expect(try Run("show", sample.path, first).output.contains("pins         1"))
    }

    @Test("has no control characters in a pipe", arguments: ["info", "spaces", "ls", "tree", "verify"])
    func plain(command: String) throws {
        let sample = try Sample()
        let run = try Run(command, sample.path)
        let bytes = (run.output + run.errors).utf8
        #expect(bytes.allSatisfy { $0 == 10 || (32..<127).contains($0) })
    }
}

@Suite("pfx beside a running engine", .serialized)
struct BesideEngineTests {
    @Test("finds the store sound at every moment, and pins in it")
    func verify() throws {
        let path = NSTemporaryDirectory() + "/pfx-beside-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: path) }
        let worker = try Worker(["fill", path, "3"])
        defer { worker.kill() }
        for _ in 0..<3 {
            #expect(worker.nextLine()?.hasPrefix("flushed") == true)
            let run = try Run("verify", path)
            #expect(run.status == 0, "\(run)")
            #expect(run.output.hasPrefix("Sound: "))
        }
        let pages = try Run("ls", path, "--json", "--limit", "1").json()["pages"] as? [[String: Any]]
        let hash = try #require(pages?.first?["hash"] as? String)
        #expect(try Run("pin", path, hash).status == 0)
        #expect(try Run("info", path).status == 0)
    }
}
