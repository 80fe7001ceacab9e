// The tier on a real S3 server that checks signatures.

import Foundation
import KVFormat
import PageCodec
import Records
import StoreTestKit
import Testing
import TestKit
import Threads

@testable import RemoteTier

@Suite("A remote tier on an object store", .serialized, .enabled(if: S3Server.isExpected))
struct S3Tests {
    let server: S3Server
    let prefix = "t\(UInt64.random(in: 0...UInt64.max))"
    let pages: StoredPages
    let team = Team(helpers: 0)

    init() throws {
        server = try S3Server.shared.get()
        // 40 pages that follow each other, and a branch of 3.
        let long = (0..<640).map { TokenID($0) }
        pages = try StoredPages("objects", layout: .small, sequences: [long, Array(long.prefix(160)) + [9, 9, 9]])
    }

    private func tier(
        as user: String = "store", stall: Duration = .seconds(10), isFaulty: Bool = false
    ) throws -> RemoteTier {
        let url = server.url(prefix, as: user, isFaulty: isFaulty)
        return try RemoteTier(RemoteOptions(url: url, lookupTime: .seconds(20), stallTime: stall))
    }

    private func client(_ tier: RemoteTier) throws -> S3Client { try #require(tier.client as? S3Client) }

    private var chain: [PrefixHash] { pages.records.prefix(40).map(\.name.hash) }

    private func leading(_ tier: RemoteTier, from first: Int = 0) -> Int {
        tier.leadingCount(of: Array(chain[first...]), behind: chain[..<first].suffix(16), before: .after(.seconds(20)))
    }

    private func loadAll(from tier: RemoteTier) throws -> Int {
        try pages.sequences.reduce(0) { $0 + (try pages.load($1, from: tier, RecordLoader(team)) ?? -1_000_000) }
    }

    private var tokens: Int { pages.sequences.reduce(0) { $0 + $1.count } }

    /// Answers of a request that is not one of the client's own.
    private func ask(_ tier: RemoteTier, _ call: HTTPCall) throws -> Int {
        var status = 0
        let fault = try client(tier).run([call], .long) { _, request in
            status = request.status
            return true
        }
        #expect(fault == nil)
        return status
    }

    private func put(_ bytes: [UInt8], at name: String, in tier: RemoteTier) throws {
        let client = try client(tier)
        #expect(try ask(tier, client.put(name, EncodedRecord(copying: unsafe bytes.span.bytes), isNew: false)) == 200)
    }

    /// The names of the packs and index objects of pages.
    private func objects(_ tier: RemoteTier) throws -> (packs: Set<String>, indexes: [String]) {
        let client = try client(tier)
        _ = try tier.held(pages.records.map { (hash: $0.name.hash, parent: $0.name.parent) })
        let places = pages.records.compactMap { page in
            client.state.withLock { $0.packs.place(of: page.name.hash, at: 0) }
        }
        return (
            Set(places.map { S3Client.name(of: $0.pack, $0.root) }), pages.records.map { "1/i/\($0.name.hash)" }
        )
    }

    @Test("lends what it has taken, byte for byte, packed into few objects")
    func roundTrip() throws {
        let tier = try tier()
        defer { tier.close() }
        #expect(leading(tier) == 0)
        #expect(try tier.take(pages.records).allSatisfy { $0 == .stored })
        let other = try self.tier()
        defer { other.close() }
        #expect(leading(other) == 40)
        #expect(try other.take(pages.records).allSatisfy { $0 == .alreadyThere })
        #expect(try loadAll(from: other) == tokens)
        #expect(try other.held(pages.records.map(\.name.hash), usedAt: nil).count == pages.records.count)
        #expect(try objects(other).packs.count == 1)
        #expect(other.statistics.damagedPages == 0)
    }

    @Test("finds a chain from any of its pages on, in packs that begin anywhere")
    func middle() throws {
        let tier = try tier()
        defer { tier.close() }
        for part in [0..<7, 7..<8, 8..<30, 30..<40] {
            #expect(try tier.take(Array(pages.records[part])).allSatisfy { $0 == .stored })
        }
        for first in [0, 1, 3, 7, 8, 19, 29, 39] {
            let host = try self.tier()
            defer { host.close() }
            #expect(leading(host, from: first) == 40 - first, "from page \(first)")
        }
    }

    @Test("two hosts that put the same pages at once do not harm each other")
    func twins() throws {
        let hosts = try (0..<3).map { _ in try tier() }
        defer { for host in hosts { host.close() } }
        let threads = try hosts.enumerated().map { number, host in
            try Threads.Thread { [pages] in _ = try? host.take(Array(pages.records.dropLast(number * 5))) }
        }
        for thread in threads { thread.join() }
        let reader = try tier()
        defer { reader.close() }
        #expect(leading(reader) == 40)
        #expect(try loadAll(from: reader) == tokens)
    }

    @Test("a host that is beaten to it names what the faster one does not have")
    func beaten() throws {
        let (fast, slow) = (try tier(), try tier())
        defer {
            fast.close()
            slow.close()
        }
        // The slow host has asked before the fast one put anything.
        #expect(try fast.take(Array(pages.records.prefix(36))).allSatisfy { $0 == .stored })
        #expect(try slow.put(missing: pages.records).allSatisfy { $0 == .stored })
        let reader = try tier()
        defer { reader.close() }
        #expect(leading(reader) == 40)
        #expect(try loadAll(from: reader) == tokens)
    }

    @Test("asks for a signature: a wrong secret is refused, and never shown")
    func strangers() throws {
        let tier = try tier(as: "stranger")
        defer { tier.close() }
        let error = #expect(throws: StoreError.self) { try tier.held([.zero], usedAt: nil) }
        let words = String(describing: error) + tier.faults.joined() + tier.shownURL
        #expect(words.contains("SignatureDoesNotMatch") && !words.contains(String(server.secret.reversed())))
    }

    @Test("stands behind a Redis: what that does not have comes from here, and pages are put there")
    func behindRedis() throws {
        let server = try RedisServer()
        let redis = "redis://127.0.0.1:\(server.port)"
        let (store, cache) = (try tier(), try RemoteTier(RemoteOptions(url: redis, lookupTime: .seconds(5))))
        defer { for tier in [store, cache] { tier.close() } }
        _ = try store.take(pages.records)
        _ = try cache.take(Array(pages.records.prefix(7)))
        let both = try RemoteTier(
            RemoteOptions(
                url: redis + " " + self.server.url(prefix), lookupTime: .seconds(20), stallTime: .seconds(10)))
        defer { both.close() }
        #expect(leading(both) == 40)
        #expect(try loadAll(from: both) == tokens)
        #expect(try both.take(pages.records).count { $0 == .stored } == pages.records.count - 7)
        #expect(Int(try server.ask("dbsize")) == pages.records.count)
        server.kill()
        var found = 0
        for _ in 0..<100 where found != 40 { found = leading(both) }
        #expect(found == 40)
        #expect(try loadAll(from: both) == tokens)
    }

    @Test("a user who may not write reads all the same")
    func readers() throws {
        let writer = try tier()
        defer { writer.close() }
        _ = try writer.take(Array(pages.records.prefix(20)))
        let reader = try tier(as: "reader")
        defer { reader.close() }
        let error = #expect(throws: StoreError.self) { try reader.take(pages.records) }
        #expect(error?.description.contains("AccessDenied") == true)
        #expect(leading(reader) == 20 && reader.faults.isEmpty)
    }

    @Test("a pack that was removed is a miss, and the next put brings it back, for others too")
    func removed() throws {
        let tier = try tier()
        defer { tier.close() }
        _ = try tier.take(pages.records)
        for pack in try objects(tier).packs {
            #expect(try ask(tier, HTTPCall(method: "DELETE", address: client(tier).url.address(pack))) == 204)
        }
        let host = try self.tier()
        defer { host.close() }
        #expect(leading(host) == 40)
        #expect(try pages.load(pages.sequences[0], from: host, RecordLoader(team)) == 0)
        #expect(try host.held(pages.records.map(\.name.hash), usedAt: nil).isEmpty)
        // Other pages than before: another pack, whose index must replace the one that leads nowhere.
        #expect(try host.take(Array(pages.records.prefix(40))).allSatisfy { $0 == .stored })
        let third = try self.tier()
        defer { third.close() }
        #expect(try pages.load(pages.sequences[0], from: third, RecordLoader(team)) == 640)
    }

    @Test("damaged packs are misses, and the next put replaces them")
    func damaged() throws {
        let tier = try tier()
        defer { tier.close() }
        _ = try tier.take(pages.records)
        for pack in try objects(tier).packs {
            try put([UInt8](repeating: 7, count: 1 << 20), at: pack, in: tier)
        }
        let host = try self.tier()
        defer { host.close() }
        #expect(leading(host) == 40)
        #expect(try loadAll(from: host) == 0)
        #expect(host.statistics.damagedPages > 0)
        #expect(try host.take(pages.records).allSatisfy { $0 == .stored })
        let third = try self.tier()
        defer { third.close() }
        #expect(try loadAll(from: third) == tokens)
    }

    @Test("an index that lies costs hits: wrong places, sizes and packs, damaged bytes, and too many of them")
    func lies() throws {
        let tier = try tier()
        defer { tier.close() }
        _ = try tier.take(pages.records)
        let client = try client(tier)
        let sound = try objects(tier)
        #expect(sound.packs.count == 1)
        let entries = pages.records.map { page in
            PackIndex.Entry(
                hash: page.name.hash,
                bytes: client.state.withLock { $0.packs.place(of: page.name.hash, at: 0)?.bytes } ?? 1)
        }
        let root = pages.root
        let lies: [(String, [UInt8])] = [
            (
                "sizes",
                PackIndex(root: root, entries: entries.map { .init(hash: $0.hash, bytes: $0.bytes + 8) }).encoded
            ),
            ("order", PackIndex(root: root, entries: entries.reversed()).encoded),
            ("huge", PackIndex(root: root, entries: entries.map { .init(hash: $0.hash, bytes: 1 << 30) }).encoded),
            ("root", PackIndex(root: .zero, entries: entries).encoded),
            ("others", PackIndex(root: root, entries: [.init(hash: .sha256([1]), bytes: 100)]).encoded),
            ("bytes", [UInt8](repeating: 0x50, count: 300)), ("none", []),
            ("much", [UInt8](repeating: 0x50, count: 1 << 20)),
        ]
        for (name, index) in lies {
            for object in sound.indexes { try put(index, at: object, in: tier) }
            // Also where the lie leads: the sound pack under the lie's name.
            if let lie = PackIndex(unsafe index.span.bytes) {
                try put([UInt8](repeating: 1, count: 1 << 20), at: S3Client.name(of: lie.name, lie.root), in: tier)
            }
            let host = try self.tier()
            defer { host.close() }
            _ = leading(host)
            #expect(try loadAll(from: host) == 0, "\(name)")
        }
        // The next put of the pages replaces what lies.
        let host = try self.tier()
        defer { host.close() }
        #expect(try host.take(pages.records).allSatisfy { $0 == .stored })
        #expect(try loadAll(from: host) == tokens)
    }

    @Test(
        "a server that is wrong, slow, or cuts its answers costs hits, and is asked again",
        arguments: ["503", "500", "403", "301", "cut", "whole", "slow"])
    func disturbed(mode: String) throws {
        let writer = try tier()
        defer { writer.close() }
        _ = try writer.take(pages.records)
        let host = try tier(stall: .milliseconds(100), isFaulty: true)
        defer { host.close() }
        try server.disturb(prefix, mode)
        let requests = pages.requests.prefix(40)
        let began = SystemClock.monotonicNanoseconds()
        let found = host.leadingCount(of: chain, before: .after(.milliseconds(200)))
        #expect(SystemClock.monotonicNanoseconds() - began < 5_000_000_000)
        #expect(found == 0)
        var came = 0
        let fault = host.fetch(
            Array(requests), root: pages.root, of: pages.layout, before: .after(.seconds(5)),
            stall: .milliseconds(100)
        ) { _, page in
            came += page == nil ? 0 : 1
            return true
        }
        #expect(came == 0 && fault != nil)
        #expect(!host.faults.isEmpty)
        try server.disturb(prefix, nil)
        var back = 0
        for _ in 0..<500 where back != 40 {
            back = leading(host)
            if back != 40 { usleep(20_000) }
        }
        #expect(back == 40)
        #expect(try loadAll(from: host) == tokens)
    }

    @Test("a check tries a part of an object, as pages are")
    func ranges() throws {
        let tier = try tier(isFaulty: true)
        defer { tier.close() }
        #expect(try tier.check().isReadable)
        try server.disturb(prefix, "whole")
        defer { try? server.disturb(prefix, nil) }
        let error = #expect(throws: StoreError.self) { try tier.check() }
        #expect(error?.description.contains("parts of objects") == true, "\(String(describing: error))")
        #expect(error?.remedy.contains("range") == true)
    }

    @Test("a server that knows no conditions takes pages without them")
    func conditions() throws {
        let tier = try tier(isFaulty: true)
        defer { tier.close() }
        try server.disturb(prefix, "plain")
        defer { try? server.disturb(prefix, nil) }
        #expect(try tier.take(pages.records).allSatisfy { $0 == .stored })
        let host = try self.tier()
        defer { host.close() }
        #expect(try loadAll(from: host) == tokens)
    }

    @Test("lists the pages of a space, and keeps its descriptor")
    func listing() throws {
        let tier = try tier()
        defer { tier.close() }
        #expect(try tier.descriptor(of: pages.root) == nil)
        try tier.register(pages.descriptor)
        #expect(try tier.descriptor(of: pages.root) == pages.descriptor)
        try put([1, 2, 3], at: "1/s/\(pages.root)", in: tier)
        #expect(try tier.descriptor(of: pages.root) == nil)
        for part in [0..<20, 20..<pages.records.count] { _ = try tier.take(Array(pages.records[part])) }
        let host = try self.tier()
        defer { host.close() }
        let names = try host.pages(of: pages.root, pages.layout, seal: nil).names
        #expect(Set(names.map(\.hash)) == Set(pages.records.map(\.name.hash)))
        #expect(try host.pages(of: .zero, pages.layout, seal: nil).names.isEmpty)
    }

    @Test("a bucket that is not there, and a server that is not there, are faults with words")
    func nobody() throws {
        let url = server.url(prefix).replacingOccurrences(of: "s3://pages", with: "s3://nothing")
        let port = try RedisServer.freePort()
        let dead = server.url(prefix).replacingOccurrences(of: ":\(server.port)", with: ":\(port)")
        for (url, words) in [(url, "NoSuchBucket"), (dead, "cannot be reached")] {
            let tier = try RemoteTier(RemoteOptions(url: url))
            defer { tier.close() }
            let error = #expect(throws: StoreError.self) { try tier.held([.zero], usedAt: nil) }
            #expect(error?.description.contains(words) == true, "\(String(describing: error))")
            #expect(tier.leadingCount(of: chain, before: .after(.seconds(1))) == 0)
        }
    }

    @Test("speaks TLS with a server that proves its name, and with no other")
    func tls() throws {
        let files = try Certificates()
        let server = try S3Server(certificate: files.path("server.crt"), key: files.path("server.key"))
        let ca = "&ca=\(files.path("ca.crt"))"
        let right = server.url(prefix).replacingOccurrences(of: "127.0.0.1", with: "localhost") + ca
        let tier = try RemoteTier(RemoteOptions(url: right))
        defer { tier.close() }
        #expect(try tier.take(pages.records).allSatisfy { $0 == .stored })
        #expect(try loadAll(from: tier) == tokens)
        for url in [
            server.url(prefix) + ca, server.url(prefix).replacingOccurrences(of: "127.0.0.1", with: "localhost"),
        ] {
            let tier = try RemoteTier(RemoteOptions(url: url))
            defer { tier.close() }
            let error = #expect(throws: StoreError.self) { try tier.held([.zero], usedAt: nil) }
            #expect(error?.description.contains("not trusted") == true, "\(url): \(String(describing: error))")
        }
    }
}
