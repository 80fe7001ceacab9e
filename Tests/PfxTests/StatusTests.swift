// How the commands end when something is wrong: one sentence that names the thing, one that says what to do, and a
// status.

import ArgumentParser
import Foundation
import LlamaEngine
import PrefixStore
import StoreTestKit
import Testing

@testable import pfx

@Suite("A command that cannot do what it is asked")
struct StatusTests {
    /// One line on standard error, none on standard output.
    func expect(_ run: Run, _ status: Int32, _ words: String..., line: SourceLocation = #_sourceLocation) {
        #expect(run.status == status, "\(run)", sourceLocation: line)
        #expect(run.output.isEmpty, sourceLocation: line)
        #expect(run.errors.split(separator: "\n").count == 1, "\(run)", sourceLocation: line)
        #expect(run.errors.hasPrefix("pfx: "), sourceLocation: line)
        for word in words { #expect(run.errors.contains(word), "\(run)", sourceLocation: line) }
    }

    @Test("says that a store is damaged whose check was ended by a signal")
    func death() throws {
        let sample = try Sample()
        let (key, output) = (ChildProcess.pipe(), ChildProcess.pipe())
        // The check waits for its key.
        let process = try ChildProcess(
            ChildProcess.product("pfx"), ["verify", sample.path, "--key-fd", "0"], input: key.reading,
            output: output.writing)
        close(output.writing)
        let list = "/proc/\(process.processID)/task/\(process.processID)/children"
        var child: Int32?
        while child == nil {
            usleep(1000)
            child = try String(contentsOfFile: list, encoding: .utf8).split(separator: " ").first.flatMap { Int32($0) }
        }
        #expect(kill(try #require(child), SIGBUS) == 0)
        let text = FileHandle(fileDescriptor: output.reading, closeOnDealloc: true).readDataToEndOfFile()
        #expect(process.wait() == 2)
        let words = "DAMAGED: the process that checked the store was ended by signal \(SIGBUS)"
        #expect(String(decoding: text, as: UTF8.self).hasPrefix(words))
        close(key.reading)
        close(key.writing)
    }

    @Test("says so when there is no store", arguments: OutputTests.commands)
    func noStore(command: String) throws {
        let folder = NSTemporaryDirectory() + "/pfx-none-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let key = folder + ".key"
        defer { try? FileManager.default.removeItem(atPath: key) }
        let digits = Data(String(repeating: "0123456789abcdef", count: 4).utf8)
        #expect(
            FileManager.default.createFile(atPath: key, contents: digits, attributes: [.posixPermissions: 0o600]))
        func run(_ path: String) throws -> Run {
            switch command {
            case "show", "pin", "unpin", "forget": try Run(command, path, "3fa9")
            case "rekey": try Run(command, path, "--key-file", key, "--new-key-file", key)
            case "trim": try Run(command, path, "--to", "1GiB")
            default: try Run(command, path)
            }
        }
        try expect(run(folder), 66, "There is no folder \(folder).")
        try FileManager.default.createDirectory(
            atPath: folder, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
        try expect(run(folder), 69, "The folder \(folder) holds no store.")
        let file = folder + "/file"
        try Data("text".utf8).write(to: URL(fileURLWithPath: file))
        try expect(run(folder), 69, "holds no store")
        try expect(run(file), 66, "\(file) is a file.")
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["file"])
    }

    @Test("says so when a hash is unknown, ambiguous or invalid")
    func hashes() throws {
        let sample = try Sample()
        let known = Set(sample.hashes(Sample.first) + sample.hashes(Sample.second))
        let unknown = PrefixHash.sha256([9]).description
        #expect(!known.map(\.description).contains(unknown))
        for command in ["show", "pin", "unpin"] {
            try expect(Run(command, sample.path, unknown), 1, "No page begins with", "`pfx ls`")
            try expect(Run(command, sample.path, "hash"), 64, "'hash' is not a hash", "hexadecimal")
        }
        try expect(Run("show", sample.path, "\u{1B}[31m\n"), 64, "'\\u{1b}[31m\\n' is not a hash", "`pfx ls --names`")
        // A whole hash means its page, even when somebody has called another one so.
        let (page, other) = (sample.hashes(Sample.first)[0].description, sample.hashes(Sample.second)[2].description)
        #expect(try Run("pin", sample.path, page, "--name", other).status == 0)
        let shown = try Run("show", sample.path, other, "--json").json()["page"] as? [String: Any]
        #expect(shown?["hash"] as? String == other)
        try expect(Run("ls", sample.path, "--space", unknown), 1, "No space begins with", "`pfx spaces`")
        // Of 17 hashes two begin alike.
        let store = try Store(at: sample.path, options: StoreOptions(quota: .mebibytes(64)))
        try store.space(sample.model.identity).insertGenerated((0..<200).map { 7 * TokenID($0) }, by: sample.model)
        try store.flush()
        try store.close()
        let all = try Run("ls", sample.path, "--json").json()["pages"] as? [[String: Any]]
        let digits = try #require(all).compactMap { ($0["hash"] as? String)?.first }
        let twice = try #require(digits.first { digit in digits.count { $0 == digit } > 1 })
        try expect(Run("show", sample.path, "\(twice)"), 1, "Several pages begin with \(twice)", "Give more digits")
    }

    @Test("says so when the store is damaged, and finds where")
    func damage() throws {
        let sample = try Sample()
        try sample.damage { data in
            for offset in data.offsets(of: Array("PFXR".utf8)) { data[offset + 152] ^= 1 }
        }
        let run = try Run("verify", sample.path)
        #expect(run.status == 2)
        #expect(run.output.hasPrefix("DAMAGED: 10 findings."))
        #expect(run.output.contains("damaged record"))
        #expect(run.output.contains("frame 0 fails its checksum"))
        #expect(run.errors.isEmpty)
        let json = try Run("verify", sample.path, "--json")
        #expect(json.status == 2)
        #expect(try json.json()["damage_count"] as? Int == 10)
        let shown = try Run("show", sample.path, sample.hashes(Sample.first)[0].short)
        #expect(shown.status == 2)
        #expect(shown.output.contains("WRONG"))
    }

    @Test("shows a page whose record cannot be trusted at all, and says why")
    func damagedHeader() throws {
        let sample = try Sample()
        try sample.damage { data in
            for offset in data.offsets(of: Array("PFXR".utf8)) { data[offset + 57] ^= 1 }
        }
        let hash = sample.hashes(Sample.first)[0]
        let run = try Run("show", sample.path, hash.short)
        #expect(run.status == 2)
        #expect(run.output.contains("DAMAGED: page \(hash.short): the record's header fails its checksum"))
        let json = try Run("show", sample.path, hash.short, "--json")
        #expect(json.status == 2)
        #expect((try json.json()["damage"] as? String)?.contains("header") == true)
    }

    @Test("says so when LMDB itself cannot follow its own pointers, and checks the rest")
    func damagedTree() throws {
        let sample = try Sample()
        let hash = sample.hashes(Sample.first)[0]
        try sample.damage { data in
            // A large value is named by its page number behind the key; before the key stand flags (1, large) and its
            // length.
            for offset in data.offsets(of: hash.bytes) where data[offset - 4] == 1 && data[offset - 2] == 32 {
                for byte in 32..<40 { data[offset + byte] = 0x7F }
            }
        }
        let run = try Run("verify", sample.path)
        #expect(run.status == 2)
        #expect(run.output.contains("unreadable table  \(hash.short)  What belongs to it cannot be read."))
        #expect(run.output.contains("The table pages cannot be read to its end"))
        #expect(run.output.contains("Also 10 edges"))
        let shown = try Run("show", sample.path, hash.short)
        #expect(shown.status == 2)
        #expect(shown.output.contains("DAMAGED: "))
    }

    @Test("says so when another version wrote the store")
    func otherVersion() throws {
        let sample = try Sample()
        try sample.damage { data in
            let name = Array("format".utf8)
            for offset in data.offsets(of: name + [2, 0, 0, 0]) { data[offset + name.count] = 9 }
        }
        try expect(Run("info", sample.path), 69, "has format 9; this build reads format 2", "newer build")
    }

    @Test("says so when others may write the store, or its file is cut short")
    func unusable() throws {
        let sample = try Sample()
        try FileManager.default.setAttributes([.posixPermissions: 0o777], ofItemAtPath: sample.path)
        try expect(Run("ls", sample.path), 69, "others may write the folder", "chmod")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: sample.path)
        try sample.damage { $0.removeSubrange(100...) }
        try expect(Run("ls", sample.path), 69, "is damaged", "cut short")
    }

    @Test(
        "shows its usage when the command line is wrong",
        arguments: [
            ["nothing"], ["info"], ["ls", "x", "--order", "odd"], ["ls", "x", "--limit", "0"], ["trim", "x"],
            ["trim", "x", "--to", "much"], ["tree", "x", "--depth", "0"], ["tree", "x", "--tokenizer", "y"],
        ])
    func usage(_ arguments: [String]) throws {
        let run = try Run(arguments)
        #expect(run.status == 64)
        #expect(run.output.isEmpty)
        #expect(run.errors.contains("Usage: pfx"))
    }

    @Test("says so when its output goes to a full disk")
    func fullDisk() throws {
        let sample = try Sample()
        let full = try #require(FileHandle(forWritingAtPath: "/dev/full"))
        try expect(Run(["info", sample.path], to: full), 73, "standard output cannot be written")
    }

    @Test("says so when PFX_CPU names no level, instead of running with kernels that nobody asked for")
    func unknownLevel() throws {
        let sample = try Sample()
        for command in ["info", "verify"] {
            let run = try Run([command, sample.path], environment: ["PFX_CPU": "avx-2"])
            expect(run, 64, "PFX_CPU is 'avx-2', not portable, avx2 or avx512")
        }
        let known = try Run(["info", sample.path], environment: ["PFX_CPU": "avx2"])
        #expect(known.status == 0)
    }

    @Test("says so when a tokenizer does not exist")
    func tokenizer() throws {
        let sample = try Sample()
        let hash = sample.hashes(Sample.first)[0].short
        try expect(
            Run("show", sample.path, hash, "--reveal", "--tokenizer", "/nonexistent/tokenizer.json"), 66,
            "/nonexistent/tokenizer.json")
    }
}

@Suite("Each error")
struct ErrorReportTests {
    @Test("has a status that says whose turn it is")
    func statuses() {
        let store: [(StoreError, pfx.ExitStatus)] = [
            (.invalidOption(""), .usage), (.invalidTokens(count: 0), .badInput), (.notAFolder(path: ""), .missingInput),
            (.noSuchPage(""), .failure), (.noSuchSpace(""), .failure), (.notAStore(path: ""), .unusableStore),
            (.readOnly(path: ""), .unusableStore), (.permissions(path: "", ""), .unusableStore),
            (.networkFileSystem(path: ""), .unusableStore), (.alreadyOpen(path: ""), .unusableStore),
            (.formatMismatch(path: "", found: 2, supported: 1), .unusableStore),
            (.damaged(path: "", ""), .unusableStore), (.sealedSpace(""), .unusableStore),
            (.wrongKey(found: "", given: ""), .unusableStore), (.invalidKey(""), .usage),
            (.readersFull(slots: 1), .unusableStore), (.diskFull(path: ""), .noRoom),
            (.quotaFull(quota: .zero), .noRoom),
            (.mapFull(mapSize: .zero), .noRoom),
            (.invalidBlock(""), .badInput), (.invalidName(""), .usage),
            (.tooManyNames(limit: 1), .noRoom), (.noSuchName(""), .failure), (.forked, .internalError),
            (.closed, .internalError),
            (.system(call: "", errno: 5), .inputOutput),
        ]
        for (error, status) in store { #expect(ErrorReport.described(error)?.status == status) }
        let engine: [(EngineError, pfx.ExitStatus)] = [
            (.missingFile(path: ""), .missingInput), (.notJSON(file: "", reason: ""), .badInput),
            (.missingFolder(path: ""), .missingInput), (.otherWeights(folder: "", file: ""), .missingInput),
            (.outputNotFinite(request: ""), .badInput),
            (.system(call: "", path: "", errno: ENOENT), .missingInput),
            (.system(call: "", path: "", errno: EIO), .inputOutput), (.unknownArchitecture(""), .badInput),
            (.invalidOption(name: "", reason: ""), .usage),
            (.kvMemoryTooSmall(needed: ByteCount(2), available: ByteCount(1)), .usage),
        ]
        for (error, status) in engine { #expect(ErrorReport.described(error)?.status == status) }
    }

    @Test("of no known kind is called a mistake of the program; the parser's are left to it")
    func others() {
        struct Unknown: Error {}
        #expect(ErrorReport.described(Unknown())?.status == .internalError)
        #expect(ErrorReport.described(ExitCode(2)) == nil)
        #expect(ErrorReport.described(ValidationError("wrong")) == nil)
        #expect(ErrorReport.described(CleanExit.helpRequest()) == nil)
    }

    @Test("says what happened and what to do")
    func words() throws {
        let failure = try #require(ErrorReport.described(StoreError.diskFull(path: "/kv")))
        #expect(failure.sentence.contains("/kv"))
        #expect(failure.remedy.contains("Free some space"))
    }
}

@Suite("Numbers and tables")
struct RenderTests {
    @Test("are written for people")
    func numbers() {
        #expect(Render.count(0) == "0")
        #expect(Render.count(999) == "999")
        #expect(Render.count(1000) == "1,000")
        #expect(Render.count(-1_234_567) == "-1,234,567")
        #expect(Render.count(1, "page") == "1 page")
        #expect(Render.count(1024, "page") == "1,024 pages")
        #expect(Render.percent(1, of: 3) == "33.3 %")
        #expect(Render.percent(1, of: 0) == "-")
        #expect(Render.ratio(ByteCount(148), ByteCount(100)) == "1.48")
        #expect(Render.ratio(.zero, .zero) == "-")
        #expect(Render.comparison(ByteCount(148), ByteCount(100)) == "1.48 times smaller")
        #expect(Render.comparison(ByteCount(100), ByteCount(120)) == "1.20 times larger")
        #expect(Render.range(0, 2496) == "0-2495" && Render.range(7, 1) == "7")
    }

    @Test("of time are times in UTC, and ages in one unit")
    func times() {
        #expect(Render.time(Timestamp(milliseconds: 1_795_564_804_667)) == "2026-11-25 00:00:04Z")
        let now = Timestamp(milliseconds: 1_000_000_000)
        func age(_ seconds: Int) -> String { Render.age(now + .seconds(-seconds), now: now) }
        #expect(age(0) == "0 s")
        #expect(age(-1) == "0 s")
        #expect(age(-5) == "in the future")
        #expect(age(59) == "59 s")
        #expect(age(60) == "1 min")
        #expect(age(3600) == "1 h")
        #expect(age(3 * 86_400) == "3 d")
    }

    @Test("stand in aligned columns without blanks at the ends of lines")
    func table() {
        var table = TextTable(("NAME", .left), ("COUNT", .right), ("", .left))
        #expect(table.isEmpty)
        table.add("a", "1", "")
        table.add("longer", "1,000", "note")
        #expect(table.text == "NAME    COUNT\na           1\nlonger  1,000  note\n")
        var plain = TextTable(("", .left), ("", .left))
        plain.add("key", "value")
        #expect(plain.text == "key  value\n")
    }

    @Test("that come from a prompt cannot move a terminal's cursor")
    func escaped() {
        #expect(Reveal.escaped("a\nb\t\"c\"\\") == "a\\nb\\t\\\"c\\\"\\\\")
        #expect(Reveal.escaped("\u{1B}[2J\u{202E}\u{7F}") == "\\u{1b}[2J\\u{202e}\\u{7f}")
        #expect(Reveal.escaped("caf\u{E9}") == "caf\u{E9}")
    }
}
