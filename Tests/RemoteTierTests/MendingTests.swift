// What tools find of damaged packs, and how they put it right, on a real S3 server.

import KVFormat
import PageCodec
import Records
import StoreTestKit
import TestKit
import Testing
import Threads

@testable import RemoteTier

@Suite("Damaged packs, by tools", .serialized, .enabled(if: S3Server.isExpected))
struct MendingTests {
    let server: S3Server
    let prefix = "m\(UInt64.random(in: 0...UInt64.max))"
    let pages: StoredPages
    let team = Team(helpers: 0)

    init() throws {
        server = try S3Server.shared.get()
        let long = (0..<640).map { TokenID($0) }
        pages = try StoredPages("mending", layout: .small, sequences: [long, Array(long.prefix(160)) + [9, 9, 9]])
    }

    private var options: RemoteOptions {
        RemoteOptions(url: server.url(prefix), lookupTime: .seconds(20), stallTime: .seconds(20))
    }

    /// A tool of its own, which knows nothing yet.
    private func tool<R>(_ body: (RemoteTier) throws -> R) throws -> R {
        let tier = try RemoteTier.each(options)[0]
        defer { tier.close() }
        return try body(tier)
    }

    private var names: [(hash: PrefixHash, parent: PrefixHash)] {
        pages.records.map { (hash: $0.name.hash, parent: $0.name.parent) }
    }

    /// Changes each pack that has one of these pages, and returns how many there were.
    private func change(_ body: (inout [UInt8]) -> Void) throws {
        try tool { tier throws in
            _ = try tier.held(names)
            let client = try #require(tier.client as? S3Client)
            let packs = Set(
                pages.records.compactMap { page in
                    client.state.withLock { $0.packs.place(of: page.name.hash, at: 0) }
                        .map { S3Client.name(of: $0.pack, $0.root) }
                })
            for pack in packs {
                var bytes: [UInt8] = []
                _ = client.run([HTTPCall(address: client.url.address(pack), parts: [1 << 24])], .long) {
                    bytes = $1.bytes
                    return true
                }
                #expect(!bytes.isEmpty)
                body(&bytes)
                let record = EncodedRecord(copying: unsafe bytes.span.bytes)
                #expect(client.run([client.put(pack, record, isNew: false)], .long) { _, _ in true } == nil)
            }
        }
    }

    /// What `pfx push --verify` does: returns how many pages it found there, and how many it put.
    private func verify(having own: Int = .max) throws -> (there: Int, put: Int, left: Int) {
        try tool { tier throws in
            let own = Array(pages.records.prefix(own))
            let names = own.map { (hash: $0.name.hash, parent: $0.name.parent) }
            let held = try tier.held(names)
            let requests = zip(own, pages.requests).map(\.1).filter { held.contains($0.hash) }
            let unsound = try tier.unsound(requests, of: pages.layout)
            let missing = own.filter { !held.contains($0.name.hash) || unsound.contains($0.name.hash) }
            #expect(unsound.allSatisfy { tier.isDamaged($0) })
            #expect(try tier.put(missing: missing).allSatisfy { $0 == .stored })
            try tier.mendLists()
            return (held.count - unsound.count, missing.count, try own.count - tier.held(names).count)
        }
    }

    /// All that pulls and engines of other hosts do.
    private func expectAllThere() throws {
        try tool { tier throws in
            let listed = try tier.pages(of: pages.root, pages.layout, seal: nil)
            #expect(listed.names.count == pages.records.count)
            #expect(listed.unreadable.isEmpty && listed.unreadablePacks == 0)
            let found = tier.fetched(pages.requests, of: pages.layout)
            #expect(found.failure == nil && found.records.allSatisfy { $0 != nil })
        }
        let host = try RemoteTier(options)
        defer { host.close() }
        let tokens = pages.sequences.reduce(0) { $0 + $1.count }
        func load() throws -> Int {
            try pages.sequences.reduce(0) { $0 + (try pages.load($1, from: host, RecordLoader(team)) ?? 0) }
        }
        // A damaged copy may come first, once.
        if try load() != tokens { #expect(try load() == tokens) }
    }

    @Test("a page that is damaged is replaced, alone and once, and is found from then on")
    func flipped() throws {
        #expect(try tool { try $0.put(missing: pages.records) }.allSatisfy { $0 == .stored })
        try change { $0[$0.count / 2] ^= 1 }
        #expect(try verify() == (pages.records.count - 1, 1, 0))
        #expect(try verify() == (pages.records.count, 0, 0))
        try expectAllThere()
    }

    @Test("the first page of a pack is replaced, and what follows it is found as before")
    func first() throws {
        #expect(try tool { try $0.put(missing: pages.records) }.allSatisfy { $0 == .stored })
        let index = PackIndex(root: pages.root, entries: names.map { .init(hash: $0.hash, bytes: 1) }).size
        try change { $0[index + 200] ^= 1 }
        #expect(try verify() == (pages.records.count - 1, 1, 0))
        try expectAllThere()
    }

    @Test("what is cut off a pack is put anew")
    func truncated() throws {
        #expect(try tool { try $0.put(missing: pages.records) }.allSatisfy { $0 == .stored })
        try change { $0.removeLast($0.count / 2) }
        let first = try verify()
        #expect(first.there > 0 && first.put > 0 && first.left == 0)
        #expect(try verify() == (pages.records.count, 0, 0))
        try expectAllThere()
    }

    @Test("a pack that does not begin with its index is noticed, and mended", arguments: [Int.max, 20])
    func front(own: Int) throws {
        #expect(try tool { try $0.put(missing: pages.records) }.allSatisfy { $0 == .stored })
        try change { $0[60] ^= 1 }
        try tool { tier throws in
            let listed = try tier.pages(of: pages.root, pages.layout, seal: nil)
            #expect(listed.names.isEmpty && listed.unreadablePacks == 1)
        }
        let count = min(own, pages.records.count)
        #expect(try verify(having: own) == (0, count, 0))
        #expect(try verify() == (pages.records.count, 0, 0))
        try expectAllThere()
    }

    @Test("empty index objects are put anew, once")
    func emptyIndexes() throws {
        #expect(try tool { try $0.put(missing: pages.records) }.allSatisfy { $0 == .stored })
        try tool { tier throws in
            let client = try #require(tier.client as? S3Client)
            let empty = EncodedRecord(copying: unsafe [UInt8]().span.bytes)
            let calls = pages.records.map { client.put("1/i/\($0.name.hash)", empty, isNew: false) }
            #expect(client.run(calls, .long) { _, _ in true } == nil)
        }
        #expect(try verify() == (0, pages.records.count, 0))
        #expect(try verify() == (pages.records.count, 0, 0))
        try expectAllThere()
    }

    @Test("an empty pack is put anew")
    func empty() throws {
        #expect(try tool { try $0.put(missing: pages.records) }.allSatisfy { $0 == .stored })
        try change { $0 = [] }
        #expect(try verify() == (0, pages.records.count, 0))
        try expectAllThere()
    }
}
