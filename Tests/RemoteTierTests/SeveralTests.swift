// Remotes that are read in turn.

import KVFormat
import PageCodec
import Records
import StoreTestKit
import TestKit
import Testing
import Threads

@testable import RemoteTier

@Suite("Several remotes", .serialized)
struct SeveralTests {
    let front: RedisServer
    let back: RedisServer
    let pages: StoredPages
    let team = Team(helpers: 0)

    init() throws {
        (front, back) = (try RedisServer(), try RedisServer())
        pages = try StoredPages("several", layout: .small, sequences: [(0..<640).map { TokenID($0) }])
    }

    private func url(_ server: RedisServer) -> String { "redis://127.0.0.1:\(server.port)" }

    private func tier(_ servers: RedisServer...) throws -> RemoteTier {
        try RemoteTier(
            RemoteOptions(
                url: servers.map(url).joined(separator: " "), lookupTime: .seconds(5), stallTime: .seconds(5)))
    }

    private func put(_ range: Range<Int>, on server: RedisServer) throws {
        let tier = try tier(server)
        defer { tier.close() }
        #expect(try tier.take(Array(pages.records[range])).allSatisfy { $0 == .stored })
    }

    private func leading(_ tier: RemoteTier) -> Int {
        tier.leadingCount(of: pages.records.map(\.name.hash), before: .after(.seconds(5)))
    }

    private func load(_ tier: RemoteTier) throws -> Int? {
        try pages.load(pages.sequences[0], from: tier, RecordLoader(team))
    }

    @Test("each give what those before it do not have")
    func inTurn() throws {
        try put(0..<9, on: front)
        try put(5..<40, on: back)
        let both = try tier(front, back)
        defer { both.close() }
        #expect(leading(both) == 40)
        #expect(try load(both) == 640)
        #expect(both.statistics.damagedPages == 0)
        #expect(both.shownURL == url(front) + " " + url(back))
    }

    @Test("take pages at the first one alone")
    func putting() throws {
        try put(0..<9, on: back)
        let both = try tier(front, back)
        defer { both.close() }
        #expect(try both.take(pages.records).allSatisfy { $0 == .stored })
        let sizes = try [front.ask("dbsize"), back.ask("dbsize")]
        #expect(sizes == ["40", "9"])
    }

    @Test("go on when one of them is gone", arguments: [true, false])
    func gone(isFront: Bool) throws {
        for server in [front, back] { try put(0..<40, on: server) }
        let both = try tier(front, back)
        defer { both.close() }
        #expect(leading(both) == 40)
        (isFront ? front : back).kill()
        #expect(leading(both) == 40)
        #expect(try load(both) == 640)
    }

    @Test("a damaged value of the first one is a miss, and is replaced there")
    func damaged() throws {
        for server in [front, back] { try put(0..<40, on: server) }
        let key = "pfx:1:p:\(pages.records[3].name.hash)"
        try front.ask("set", key, "nonsense")
        let both = try tier(front, back)
        defer { both.close() }
        let part = try load(both) ?? 0
        #expect(part < 640)
        #expect(try both.take(pages.records).count { $0 == .stored } == 1)
        #expect(try load(both) == 640)
    }

    @Test("are named with white space between, and each must be right")
    func urls() throws {
        #expect(try RemoteURL.all(in: " redis://a  s3://b\n").count == 2)
        for text in ["", " ", "redis://a b", Array(repeating: "redis://a", count: 9).joined(separator: " ")] {
            #expect(throws: StoreError.self) { try RemoteURL.all(in: text) }
        }
    }
}
