// What the client says to servers: logins, descriptors, the check, and where its descriptors lie.

import Foundation
import KVFormat
import PageCodec
import Records
import StoreTestKit
import Testing
import TestKit
import Threads

@testable import RemoteTier

@Suite("A client of servers", .serialized)
struct ClientTests {
    let pages: StoredPages

    init() throws { pages = try StoredPages("client", layout: .small, sequences: [(0..<100).map { TokenID($0) }]) }

    private func tier(_ url: String, _ change: (inout RemoteOptions) -> Void = { _ in }) throws -> RemoteTier {
        var options = RemoteOptions(url: url, lookupTime: .milliseconds(500))
        change(&options)
        return try RemoteTier(options)
    }

    @Test("logs in as the user of its URL, with or without a password", arguments: [2, 3])
    func users(version: Int) throws {
        let server = try RedisServer(["--user", "store", "on", "nopass", "~pfx:*", "+@all"])
        // The default user, as which a client works that forgets its own, may do nothing.
        try server.ask("acl", "setuser", "admin", "on", "nopass", "~*", "+@all")
        let tier = try tier("redis://store@127.0.0.1:\(server.port)?protocol=\(version)")
        defer { tier.close() }
        _ = try tier.held([.zero], usedAt: nil)
        #expect(try server.ask("--user", "admin", "--pass", "x", "client", "list").contains("user=store"))
        let stranger = try self.tier("redis://nobody@127.0.0.1:\(server.port)?protocol=\(version)")
        defer { stranger.close() }
        let error = #expect(throws: StoreError.self) { try stranger.held([.zero], usedAt: nil) }
        #expect(error?.description.contains("it refuses (WRONGPASS)") == true, "\(String(describing: error))")
    }

    @Test("puts descriptors again after a while, and for longer than pages")
    func descriptors() throws {
        let server = try ScriptedServer { $0[0] == "PING" ? .line("+PONG") : .line("+OK") }
        let tier = try tier(server.url) { $0.timeToLive = .seconds(100) }
        defer { tier.close() }
        let now = SystemClock.monotonicNanoseconds()
        for seconds in [0, 1, 59, 61, 62, 130] {
            try tier.register(pages.descriptor, at: now + UInt64(seconds) * 1_000_000_000)
        }
        let sets = server.asked.filter { $0[0] == "SET" }
        #expect(sets.count == 3)
        #expect(sets.allSatisfy { $0.suffix(2) == ["EX", "200"] })
    }

    @Test("check: connecting is no question")
    func slowGreeting() throws {
        let server = try ScriptedServer { words in
            switch words[0] {
            case "PING":
                usleep(100_000)
                return .line("+PONG")
            case "EXISTS": return .line(":0")
            default: return .line("+OK")
            }
        }
        // On a busy machine a question takes long now and then; connecting always does.
        #expect(
            try (0..<10).contains { _ in
                let tier = try tier(server.url) { $0.lookupTime = .milliseconds(80) }
                defer { tier.close() }
                return try !tier.check().advice.contains { $0.contains("took longer") }
            })
    }

    @Test("check: a full server is not a missing right", arguments: [true, false])
    func fullServer(isFull: Bool) throws {
        let server = try ScriptedServer { words in
            switch words[0] {
            case "PING": .line("+PONG")
            case "EXISTS": .line(":0")
            case "SET": .line(isFull ? "-OOM command not allowed" : "-NOPERM no permissions")
            default: .line("$-1")
            }
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        let found = try tier.check()
        #expect(found.refusal == (isFull ? .full : .refused("NOPERM")))
        #expect(found.advice.contains { $0.contains("lacks the right SET") } == !isFull)
        #expect(found.advice.contains { $0.contains("memory is full") } == isFull)
    }

    @Test("says what one server refuses, also when another one is full")
    func refusedAndFull() throws {
        let refused = "pfx:1:p:\(pages.records[0].name.hash)"
        let server = try ScriptedServer { words in
            switch words[0] {
            case "PING": .line("+PONG")
            case "EXISTS": .line(":0")
            default: words[1] == refused ? .line("-NOPERM no") : .line("-OOM full")
            }
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        let error = #expect(throws: StoreError.self) { try tier.take(pages.records) }
        #expect(error?.description.contains("NOPERM") == true)
    }

    @Test("asks nobody for the pass phrase of a key")
    func encryptedKey() throws {
        let files = try Certificates()
        try files.encryptServerKey("open-sesame")
        // Without a terminal libssl would ask on standard input, which knows the answer here.
        let ends = ChildProcess.pipe()
        let own = dup(STDIN_FILENO)
        dup2(ends.reading, STDIN_FILENO)
        defer {
            dup2(own, STDIN_FILENO)
            for descriptor in [own, ends.reading, ends.writing] { close(descriptor) }
        }
        let phrase = Array("open-sesame\nopen-sesame\n".utf8)
        let written = unsafe write(ends.writing, phrase, phrase.count)
        #expect(written == phrase.count)
        let error = #expect(throws: StoreError.self) {
            try TLSContext(
                ca: files.path("ca.crt"), certificate: files.path("server.crt"), key: files.path("locked.key"))
        }
        #expect(error?.description.contains("pass phrase") == true)
    }

    @Test("never has a connection where a program writes without asking")
    func descriptorNumbers() throws {
        let server = try RedisServer()
        let folder = try TemporaryFolder()
        let worker = try Worker(["remote-descriptors", folder.path("store"), server.url])
        let (lines, status) = worker.finish()
        #expect(status == 0 && lines == ["open []"], "\(lines)")
    }
}
