// Keys of pages on a Redis under which there is something else: another type, another version, half of a value.

import Foundation
import KVFormat
import PageCodec
import Records
import StoreTestKit
import TestKit
import Testing
import Threads

@testable import RemoteTier

@Suite("What cannot be read under a page's key", .serialized)
struct UnreadableTests {
    let server: RedisServer
    let pages: StoredPages

    init() throws {
        server = try RedisServer()
        pages = try StoredPages("unreadable", layout: .small, sequences: [(0..<100).map { TokenID($0) }])
    }

    private func key(_ place: Int) -> String { "pfx:1:p:\(pages.records[place].name.hash)" }

    private func tool<R>(_ body: (RemoteTier) throws -> R) throws -> R {
        let tier = try RemoteTier.each(RemoteOptions(url: server.url, lookupTime: .seconds(5)))[0]
        defer { tier.close() }
        return try body(tier)
    }

    /// Puts all pages, and then something else under the keys of some.
    private func spoil() throws -> Set<PrefixHash> {
        #expect(try tool { try $0.take(pages.records) }.allSatisfy { $0 == .stored })
        try server.ask("del", key(0))
        try server.ask("rpush", key(0), "x")
        try server.ask("del", key(1))
        try server.ask("hset", key(1), "f", "v")
        // The version of the wire form, and that of the record.
        try server.ask("setrange", key(2), "7", "2")
        let header = WirePage.headerBytes(tokens: pages.records[3].name.tokens.count, isSealed: false)
        try server.ask("setrange", key(3), "\(header + 4)", "\u{3}")
        try server.ask("set", key(4), "")
        try server.ask("set", key(5), "PFXwire1")
        return Set(pages.records.prefix(6).map(\.name.hash))
    }

    @Test("is damage, and the next put of an engine that has met it replaces it")
    func engines() throws {
        let spoilt = try spoil()
        let tier = try RemoteTier(RemoteOptions(url: server.url, lookupTime: .seconds(5)))
        defer { tier.close() }
        #expect(try tier.take(pages.records).allSatisfy { $0 == .alreadyThere })
        for request in pages.requests {
            _ = tier.fetch([request], root: nil, of: pages.layout, before: .after(.seconds(5)), stall: .seconds(5)) {
                _, _ in true
            }
        }
        #expect(tier.statistics.damagedPages == UInt64(spoilt.count))
        #expect(try tier.take(pages.records).count { $0 == .stored } == spoilt.count)
        #expect(try tool { try $0.unsound(pages.requests, of: pages.layout) }.isEmpty)
    }

    @Test("is damage for a tool that looks, which replaces it")
    func tools() throws {
        let spoilt = try spoil()
        try tool { tier throws in
            #expect(try tier.unsound(pages.requests, of: pages.layout) == spoilt)
            #expect(spoilt.allSatisfy { tier.isDamaged($0) })
            let missing = pages.records.filter { spoilt.contains($0.name.hash) }
            #expect(try tier.put(missing: missing).allSatisfy { $0 == .stored })
        }
        #expect(try tool { try $0.unsound(pages.requests, of: pages.layout) }.isEmpty)
    }

    @Test("is named by a list, unless it is another space's")
    func lists() throws {
        var spoilt = try spoil()
        // The record's own version is behind the header.
        spoilt.remove(pages.records[3].name.hash)
        let others = try StoredPages("others", layout: .small, sequences: [(0..<40).map { TokenID($0) }])
        #expect(try tool { try $0.take(others.records) }.allSatisfy { $0 == .stored })
        try server.ask("setrange", "pfx:1:p:\(others.records[1].name.hash)", "120", "x")
        try tool { tier throws in
            let listed = try tier.pages(of: pages.root, pages.layout, seal: nil)
            #expect(listed.unreadable == spoilt)
            #expect(listed.names.count == pages.records.count - spoilt.count && listed.otherwiseSealed == 0)
        }
    }

    @Test("keys name the version of the wire form, which stands for that of the record")
    func versions() {
        // A record of another version takes another version of the wire form: docs/format.md, section 8.
        #expect(RecordHeader.version == 2)
        #expect(RedisClient.key(ofPage: .zero).starts(with: Array("pfx:1:p:".utf8)))
    }
}
