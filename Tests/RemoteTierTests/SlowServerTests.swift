// Servers that are slow, or that answer half: who waits, for how long, and who asks them again.

import Foundation
import KVFormat
import PageCodec
import Records
import StoreTestKit
import Testing
import TestKit
import Threads

@testable import RemoteTier

@Suite("A server that is slow", .serialized)
struct SlowServerTests {
    private let hashes = (0..<1000).map { PrefixHash.sha256(Array("slow \($0)".utf8)) }

    private func tier(
        _ url: String, lookup: Duration = .milliseconds(500), stall: Duration = .milliseconds(100)
    ) throws -> RemoteTier {
        try RemoteTier(RemoteOptions(url: url, lookupTime: lookup, stallTime: stall))
    }

    private func isFound(_ tier: RemoteTier, within time: Duration = .seconds(2)) -> Bool {
        tier.leadingCount(of: [hashes[0]], before: .after(time)) == 1
    }

    @Test("to connect is asked by many threads at once, in safety")
    func firstQuestions() throws {
        let hash = hashes[0]
        // Nobody listens there any more, so that connecting is soon over.
        let url = try ScriptedServer { _ in .silence }.url
        let tiers = try (0..<1000).map { _ in try tier(url) }
        // The threads meet before each tier, so that they ask it its first question in the same moment.
        let (count, arrived) = (4, Counter())
        try onThreads(count) { thread in
            for (round, tier) in tiers.enumerated() {
                arrived.add(1)
                while arrived.value < UInt64(count * (round + 1)) { sched_yield() }
                for _ in 0..<3 { #expect(tier.leadingCount(of: [hash], before: .after(.microseconds(20))) == 0) }
                if thread == 0, round > 0 { tiers[round - 1].close() }
            }
        }
        tiers.last?.close()
    }

    @Test("to connect is waited for by tools, which have time, and not by look-ups")
    func connecting() throws {
        let server = try ScriptedServer { words in
            if words[0] == "PING" { usleep(700_000) }
            return .line(words[0] == "EXISTS" ? ":1" : "+PONG")
        }
        let hasty = try tier(server.url, lookup: .milliseconds(20))
        #expect(!isFound(hasty))
        hasty.close()
        let patient = try tier(server.url)
        defer { patient.close() }
        #expect(try patient.held([hashes[0]], usedAt: nil).count == 1)
    }

    @Test("with a page, a byte at a time, is given up")
    func trickle() throws {
        let server = try ScriptedServer { words in
            guard words[0] == "GET" else { return .line("+PONG") }
            return .again([UInt8(ascii: "+")], times: 1000, pause: 10)
        }
        let tier = try tier(server.url, stall: .milliseconds(100))
        defer { tier.close() }
        let fault = tier.fetch(
            [RecordRequest(hash: hashes[0], tokenCount: 16)], root: nil, of: .small, before: .after(.seconds(60)),
            stall: .milliseconds(100)
        ) { _, _ in true }
        #expect(fault == .late)
        #expect(server.isSending)
    }

    @Test("with pages leaves look-ups a connection")
    func loadsAndLookups() throws {
        let server = try ScriptedServer { words in
            switch words[0] {
            case "GET": .silence
            case "EXISTS": .line(":1")
            default: .line("+PONG")
            }
        }
        let tier = try tier(server.url, stall: .seconds(30))
        defer { tier.close() }
        #expect(isFound(tier))
        let hash = hashes[0]
        let done = Guarded(0)
        for _ in 0..<6 {
            try Threads.Thread {
                _ = tier.fetch(
                    [RecordRequest(hash: hash, tokenCount: 16)], root: nil, of: .small, before: .after(.seconds(5)),
                    stall: .seconds(30)
                ) { _, _ in true }
                done.withLock { $0 += 1 }
            }.detach()
        }
        #expect(eventually { server.count(of: "GET") >= 3 })
        // The fourth has the time to take a connection, if it gets one.
        usleep(300_000)
        #expect(isFound(tier) && done.withLock { $0 == 0 })
    }

    @Test("with every answer is asked less and less often")
    func breaker() throws {
        let server = try ScriptedServer { words in
            if words[0] == "EXISTS" { usleep(100_000) }
            return .line(words[0] == "EXISTS" ? ":1" : "+PONG")
        }
        let tier = try tier(server.url, lookup: .milliseconds(20))
        defer { tier.close() }
        let end = Deadline.after(.milliseconds(2500))
        while !end.hasPassed {
            _ = tier.leadingCount(of: [hashes[0]], before: .after(.milliseconds(20)))
            usleep(1000)
        }
        // Pauses of 50, 100, 200, 400, 800 and 1600 ms, a quarter less at most.
        #expect((1...8).contains(server.count(of: "EXISTS")), "\(server.count(of: "EXISTS"))")
    }

    @Test("with pages alone is loaded from less and less often, however quickly it answers questions")
    func slowPages() throws {
        let server = try ScriptedServer { words in
            switch words[0] {
            case "GET": .silence
            case "EXISTS": .line(":1")
            default: .line("+PONG")
            }
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        let end = Deadline.after(.milliseconds(2500))
        while !end.hasPassed {
            if isFound(tier, within: .milliseconds(20)) {
                _ = tier.fetch(
                    [RecordRequest(hash: hashes[0], tokenCount: 16)], root: nil, of: .small,
                    before: .after(.seconds(5)), stall: .milliseconds(20)
                ) { _, _ in true }
            }
            usleep(1000)
        }
        #expect((1...8).contains(server.count(of: "GET")), "\(server.count(of: "GET"))")
    }

    @Test("for callers in a hurry is not taken for broken by the others")
    func shortCallers() throws {
        let server = try ScriptedServer { words in
            if words[0] == "EXISTS" { usleep(200_000) }
            return .line(words[0] == "EXISTS" ? ":1" : "+PONG")
        }
        let tier = try tier(server.url, lookup: .seconds(2))
        defer { tier.close() }
        #expect(isFound(tier))
        #expect(!isFound(tier, within: .milliseconds(20)))
        #expect(isFound(tier))
    }

    @Test("a cluster that is down is asked over the connections that there are")
    func refreshing() throws {
        let ports = Ports()
        let server = try ScriptedServer { words in
            ScriptedServer.cluster(words, of: ports.all) ?? .line("-CLUSTERDOWN The cluster is down")
        }
        ports.set([server.port])
        let tier = try tier("redis+cluster://127.0.0.1:\(server.port)")
        defer { tier.close() }
        for _ in 0..<150 {
            _ = tier.leadingCount(of: [hashes[0]], before: .after(.milliseconds(20)))
            usleep(10_000)
        }
        #expect(server.count(of: "CLUSTER") > 1)
        #expect(server.connections <= 4, "\(server.connections)")
    }

    @Test("a cursor goes back to the server that has given it")
    func cursors() throws {
        let ports = Ports()
        let ended = Guarded(false)
        let first = try ScriptedServer { words in
            if let known = ScriptedServer.cluster(words, of: ports.all) { return known }
            guard words[0] == "SCAN" else { return .line(":0") }
            if words[1] == "0" { return .bytes(Array("*2\r\n$1\r\n5\r\n*0\r\n".utf8)) }
            let ends = ended.withLock { ended in
                defer { ended = true }
                return !ended
            }
            return ends ? .end : .bytes(Array("*2\r\n$1\r\n0\r\n*0\r\n".utf8))
        }
        let second = try ScriptedServer { words in
            ScriptedServer.cluster(words, of: ports.all)
                ?? (words[0] == "SCAN" ? .bytes(Array("*2\r\n$1\r\n0\r\n*0\r\n".utf8)) : .line(":0"))
        }
        ports.set([first.port, second.port])
        for _ in 0..<10 {
            ended.withLock { $0 = false }
            let tier = try tier("redis+cluster://127.0.0.1:\(first.port)")
            #expect(try tier.pages(of: .zero, .small, seal: nil).names.isEmpty)
            tier.close()
        }
        #expect(second.asked.filter { $0[0] == "SCAN" }.allSatisfy { $0[1] == "0" })
    }

    @Test("an answer that did not come is not forgotten because another one came later")
    func forgottenFault() throws {
        let ports = Ports()
        let hashes = hashes
        let first = try ScriptedServer { words in
            ScriptedServer.cluster(words, of: ports.all) ?? .line("-CLUSTERDOWN The cluster is down")
        }
        let moved = Guarded<Set<String>>([])
        let second = try ScriptedServer { words in
            if let known = ScriptedServer.cluster(words, of: ports.all) { return known }
            let isFirst = moved.withLock { $0.insert(words[1]).inserted }
            return isFirst
                ? .line("-MOVED \(ScriptedServer.slot(of: words[1])) 127.0.0.1:\(ports.all[1])") : .line(":1")
        }
        ports.set([first.port, second.port])
        let tier = try tier("redis+cluster://127.0.0.1:\(second.port)")
        defer { tier.close() }
        let error = #expect(throws: StoreError.self) { try tier.held(Array(hashes.prefix(20)), usedAt: nil) }
        #expect(error?.description.contains("CLUSTERDOWN") == true, "\(String(describing: error))")
    }

    @Test("with half of a question: only what it has said is remembered")
    func halfAnswers() throws {
        let asked = Guarded(0)
        let server = try ScriptedServer { words in
            guard words[0] == "EXISTS" else { return .line("+PONG") }
            // The first question is a step of 64 places, of which ten are answered.
            let number = asked.withLock { asked in
                asked += 1
                return asked
            }
            return (11...64).contains(number) ? .line("-LOADING Redis is loading") : .line(":1")
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        let first = tier.leadingCount(of: hashes, before: .after(.seconds(2)))
        #expect(first > 100 && first < hashes.count)
        #expect(tier.leadingCount(of: hashes, before: .after(.seconds(2))) == hashes.count)
    }

    @Test("long chains are asked about in steps, and the first page that is missing is found", arguments: 0..<12)
    func longChains(round: Int) throws {
        let hashes = hashes
        let present = [0, 1, 2, 63, 64, 255, 256, 257, 511, 700, 999, 1000][round]
        let names = Set(hashes.prefix(present).map { "pfx:1:p:\($0)" })
        let server = try ScriptedServer { words in
            words[0] == "EXISTS" ? .line(names.contains(words[1]) ? ":1" : ":0") : .line("+PONG")
        }
        let tier = try tier(server.url)
        defer { tier.close() }
        #expect(tier.leadingCount(of: hashes, before: .after(.seconds(10))) == present)
        #expect(tier.statistics.questions <= 4)
        let before = server.count(of: "EXISTS")
        #expect(tier.leadingCount(of: Array(hashes.prefix(present + 1)), before: .after(.seconds(10))) == present)
        // What is known to be missing is not asked about again at once.
        guard present < hashes.count else { return }
        #expect(!server.asked[before...].contains { $0[1].hasSuffix("\(hashes[present])") })
    }
}
