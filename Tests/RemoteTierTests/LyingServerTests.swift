// Servers that lie about anything but values: where keys are, how long an answer is, what an error says.

import Foundation
import KVFormat
import PageCodec
import Records
import StoreTestKit
import Testing
import TestKit
import Threads

@testable import RemoteTier

@Suite("A server that lies", .serialized)
struct LyingServerTests {
    private let hashes = (0..<256).map { PrefixHash.sha256(Array("lie \($0)".utf8)) }

    private func tier(_ url: String, lookup: Duration = .milliseconds(500)) throws -> RemoteTier {
        try RemoteTier(RemoteOptions(url: url, lookupTime: lookup, stallTime: .milliseconds(100)))
    }

    private func cluster(_ server: ScriptedServer) -> String { "redis+cluster://127.0.0.1:\(server.port)" }

    @Test("about where keys are, again and again, does not make the client remember ever more servers")
    func movedForEver() throws {
        let ports = Ports()
        let next = Guarded(0)
        let server = try ScriptedServer { words in
            if words[0] == "CLUSTER", next.withLock({ $0 > 0 }) { return .line("-ERR no") }
            if let known = ScriptedServer.cluster(words, of: ports.all) { return known }
            let number = next.withLock { next in
                next += 1
                return next
            }
            // Nobody listens there.
            return .line("-MOVED \(ScriptedServer.slot(of: words[1])) 127.1.\(number / 250).\(number % 250 + 1):1")
        }
        ports.set([server.port])
        let tier = try tier(cluster(server), lookup: .milliseconds(50))
        defer { tier.close() }
        // As many answers as fill a map's places more than once.
        for _ in 0..<400 { #expect(tier.leadingCount(of: hashes, before: .after(.milliseconds(50))) == 0) }
        #expect(try #require(tier.client as? RedisClient).map.shards.count < 100)
    }

    @Test("about where keys are is not followed when it is no cluster")
    func movedWithoutCluster() throws {
        let other = try ScriptedServer { $0[0] == "PING" ? .line("+PONG") : .line(":1") }
        let port = other.port
        let server = try ScriptedServer { words in
            words[0] == "PING" ? .line("+PONG") : .line("-MOVED \(ScriptedServer.slot(of: words[1])) 127.0.0.1:\(port)")
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        let error = #expect(throws: StoreError.self) { try tier.held([hashes[0]], usedAt: nil) }
        #expect(error?.description.contains("it refuses (MOVED)") == true)
        #expect(other.connections == 0)
    }

    @Test("about the length of an answer ends the conversation, when there is no memory for it")
    func noMemory() throws {
        var reader = RespReader(largest: .max)
        let bytes = Array("$4611686018427387000\r\n".utf8)
        unsafe reader.receive { room in
            unsafe room.copyBytes(from: bytes)
            return bytes.count
        }
        #expect(throws: RespFault.tooLarge) { try reader.next() }
    }

    @Test("and never stops talking holds nobody up", arguments: [">1\r\n+a\r\n", "|1\r\n+a\r\n+b\r\n"])
    func talksForEver(words: String) throws {
        let server = try ScriptedServer {
            $0[0] == "PING"
                ? .line("+PONG")
                : .again(Array(String(repeating: words, count: 1000).utf8), times: 20_000, pause: 0)
        }
        let tier = try tier(server.url, lookup: .milliseconds(50))
        defer { tier.close() }
        #expect(eventually { tier.leadingCount(of: [hashes[0]], before: .after(.milliseconds(50))) == 0 })
        let hash = hashes[0]
        let wasSending = Guarded(true)
        try onThreads(1) { _ in
            _ = tier.fetch(
                [RecordRequest(hash: hash, tokenCount: 16)], root: nil, of: .small, before: .after(.milliseconds(200)),
                stall: .milliseconds(100)
            ) { _, _ in true }
            let ended = server.count(of: "GET") == 0 || eventually { !server.isSending }
            wasSending.withLock { $0 = !ended }
        }
        // The client has ended the connection: nothing else ends so many answers so soon.
        #expect(!wasSending.withLock { $0 })
        #expect(tier.statistics.fetchedPages == 0)
    }

    @Test("about a list where none was asked for ends the conversation")
    func longList() throws {
        let list = Array(("*100000\r\n" + String(repeating: ":1\r\n", count: 100_000)).utf8)
        let server = try ScriptedServer { $0[0] == "PING" ? .line("+PONG") : .bytes(list) }
        let tier = try tier(server.url)
        defer { tier.close() }
        let error = #expect(throws: StoreError.self) { try tier.held([hashes[0]], usedAt: nil) }
        #expect(error?.description.contains("does not speak the protocol") == true, "\(String(describing: error))")
    }

    @Test("with its errors cannot write on a terminal, nor repeat what it was told", arguments: [0, 1, 2])
    func errors(call: Int) throws {
        let pages = try StoredPages("errors", layout: .small, sequences: [(0..<20).map { TokenID($0) }])
        let server = try ScriptedServer { words in
            switch words[0] {
            case "PING": .line("+PONG")
            case "EXISTS" where call > 0: .line(":0")
            default: .line("-\u{1B}[31mopen-sesame \u{7}")
            }
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        let error = #expect(throws: StoreError.self) {
            switch call {
            case 0: _ = try tier.check()
            case 1: _ = try tier.take(pages.records)
            default: _ = try tier.pages(of: pages.root, pages.layout, seal: nil)
            }
        }
        let text = error?.description ?? ""
        #expect(!text.contains("\u{1B}") && !text.contains("sesame"))
        #expect(text.contains("it refuses (an unexpected answer)"), "\(text)")
    }

    @Test("about its version or its name cannot write on a terminal")
    func version() throws {
        let server = try ScriptedServer { words in
            switch words[0] {
            case "PING": .line("+PONG")
            case "INFO": .line("$29\r\nredis_version:7\u{1B}[31m\u{7}.0\r\nab:c")
            case "EXISTS": .line(":0")
            default: .line("+OK")
            }
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        #expect(try tier.check().version == "Redis 7[31m.0")
        #expect(NodeAddress("\u{1B}[31m:6379") == nil)
        #expect(NodeAddress("cache-1.example:6379") != nil && NodeAddress("::1:6379") != nil)
    }

    @Test("that goes away while rights are tried has not refused one")
    func goneWhileRightsAreTried() throws {
        let server = try ScriptedServer { words in
            switch words[0] {
            case "PING": .line("+PONG")
            case "EXISTS": .line(":0")
            case "GETRANGE": .end
            default: .line("+OK")
            }
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        let text = #expect(throws: StoreError.self) { try tier.check() }?.description ?? ""
        #expect(text.contains("cannot be reached") && !text.contains("right"), "\(text)")
    }

    @Test("about more keys for ever does not keep a tool for ever")
    func endlessScan() throws {
        let rounds = Guarded(0)
        let server = try ScriptedServer { words in
            guard words[0] == "SCAN" else { return words[0] == "PING" ? .line("+PONG") : .line(":0") }
            let round = rounds.withLock { rounds in
                rounds += 1
                return rounds
            }
            let cursor = round < 5000 ? "\(7 + round % 3)" : "0"
            return .bytes(Array("*2\r\n$\(cursor.utf8.count)\r\n\(cursor)\r\n*0\r\n".utf8))
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        #expect(throws: StoreError.self) { try tier.pages(of: .zero, .small, seal: nil) }
    }

    @Test("leads a listing in no circle, and not on for ever")
    func cursors() {
        /// How many of these places it takes.
        func taken(_ places: some Sequence<UInt64>) -> Int {
            var cursor = ScanCursor()
            return places.prefix { cursor.move(to: $0) }.count
        }
        #expect(taken((0..<100).map { 5 + $0 % 7 }) < 20)
        #expect(taken(1...2_000_000) < 1_500_000)
        #expect(taken((1...100_000).map { $0 % 100_000 }) == 100_000)
    }
}
