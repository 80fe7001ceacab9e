// The tier on a real cluster: slots of several servers, slots that move, primaries that die.

import Foundation
import KVFormat
import Records
import StoreTestKit
import Testing
import TestKit
import Threads

@testable import RemoteTier

@Suite("A remote tier on a cluster", .serialized)
struct ClusterTests {
    let pages: StoredPages
    let team = Team(helpers: 0)

    init() throws {
        pages = try StoredPages(
            "cluster", layout: .small, sequences: (0..<4).map { first in (0..<160).map { TokenID($0 + first * 1000) } })
    }

    private func tier(_ cluster: RedisCluster) throws -> RemoteTier {
        try RemoteTier(RemoteOptions(url: cluster.url, lookupTime: .seconds(2)))
    }

    private func loadAll(from tier: RemoteTier) throws -> Int {
        try pages.sequences.reduce(0) { $0 + (try pages.load($1, from: tier, RecordLoader(team)) ?? -1_000_000) }
    }

    var tokens: Int { pages.sequences.reduce(0) { $0 + $1.count } }

    @Test("names the server that cannot be reached, and no other")
    func names() throws {
        let ports = Ports()
        let first = try ScriptedServer { words in
            ScriptedServer.cluster(words, of: ports.all) ?? .line(":0")
        }
        let none = UInt16(try RedisServer.freePort())
        ports.set([first.port, none])
        let tier = try RemoteTier(
            RemoteOptions(url: "redis+cluster://127.0.0.1:\(first.port)", lookupTime: .seconds(5)))
        defer { tier.close() }
        let error = #expect(throws: StoreError.self) { try tier.held(pages.records.map(\.name.hash), usedAt: nil) }
        #expect(error?.description.contains("127.0.0.1:\(none): ") == true, "\(String(describing: error))")
    }

    @Test("spreads pages over its servers, and finds all of them")
    func spread() throws {
        let cluster = try RedisCluster()
        let tier = try tier(cluster)
        defer { tier.close() }
        #expect(try tier.take(pages.records).allSatisfy { $0 == .stored })
        for server in cluster.servers { #expect(try Int(server.ask("dbsize")) ?? 0 > 0) }
        #expect(try loadAll(from: tier) == tokens)
        let hashes = pages.records.prefix(10).map(\.name.hash)
        #expect(tier.leadingCount(of: hashes + [.zero], before: .after(.seconds(5))) == 10)
    }

    @Test("follows slots that move, while they move and afterwards")
    func moving() throws {
        let cluster = try RedisCluster()
        let tier = try tier(cluster)
        defer { tier.close() }
        _ = try tier.take(pages.records)
        let name = pages.records[0].name
        let key = String(decoding: RedisClient.key(ofPage: name.hash), as: UTF8.self)
        let slot = Int(SlotMap.slot(of: Array(key.utf8)))
        guard let old = try cluster.owner(ofSlot: slot), let new = cluster.servers.first(where: { $0 !== old }) else {
            Issue.record("no owner of slot \(slot)")
            return
        }
        let (oldID, newID) = (try old.ask("cluster", "myid"), try new.ask("cluster", "myid"))
        try new.ask("cluster", "setslot", "\(slot)", "importing", oldID)
        try old.ask("cluster", "setslot", "\(slot)", "migrating", newID)
        // The key is there still, then there already.
        #expect(try tier.held([name.hash], usedAt: nil) == [name.hash])
        try old.ask("migrate", "127.0.0.1", "\(new.port)", key, "0", "5000")
        #expect(try old.ask("cluster", "countkeysinslot", "\(slot)") == "0")
        #expect(try tier.held([name.hash], usedAt: nil) == [name.hash])
        #expect(try loadAll(from: tier) == tokens)
        for server in cluster.servers { try server.ask("cluster", "setslot", "\(slot)", "node", newID) }
        #expect(try tier.held([name.hash], usedAt: nil) == [name.hash])
        #expect(try loadAll(from: tier) == tokens)
    }

    @Test("reads replicas while a primary is dead, and puts again after the failover")
    func failover() throws {
        let cluster = try RedisCluster(replicas: 1)
        let tier = try tier(cluster)
        defer { tier.close() }
        _ = try tier.take(pages.records)
        for server in cluster.servers.prefix(3) { try server.ask("wait", "1", "5000") }
        cluster.servers[0].kill()
        // The first call may meet the dead connection; those after it must find everything.
        _ = try? tier.held(pages.records.map(\.name.hash), usedAt: nil)
        #expect(try retried { try loadAll(from: tier) == tokens })
        #expect(
            try retried {
                let more = try StoredPages("after", layout: .small, sequences: [(0..<300).map { TokenID($0) }])
                return try tier.take(more.records).allSatisfy { $0 == .stored || $0 == .alreadyThere }
            })
        #expect(try loadAll(from: tier) == tokens)
    }

    /// Whether something becomes true within ten seconds; errors count as not yet.
    private func retried(_ body: () throws -> Bool) throws -> Bool {
        for _ in 0..<100 {
            if let isDone = try? body(), isDone { return true }
            usleep(100_000)
        }
        return false
    }
}
