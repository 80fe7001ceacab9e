// A server that refuses a command has not said that something is not there.

import Foundation
import KVFormat
import Records
import StoreTestKit
import TestKit
import Testing
import Threads

@testable import RemoteTier

@Suite("A refusal of the server", .serialized)
struct RefusalTests {
    let server: RedisServer
    let pages: StoredPages

    init() throws {
        server = try RedisServer()
        pages = try StoredPages("refusals", layout: .small, sequences: [(0..<100).map { TokenID($0) }])
        let tier = try RemoteTier(RemoteOptions(url: server.url))
        defer { tier.close() }
        #expect(try tier.take(pages.records).allSatisfy { $0 == .stored })
        try tier.register(pages.descriptor)
    }

    /// A tier of a user who has these keys and commands.
    private func tier(_ keys: String, _ commands: [String]) throws -> RemoteTier {
        _ = try RedisServer.ask(
            server.port, ["acl", "setuser", "user", "reset", "on", "nopass", keys, "+@connection"] + commands)
        return try RemoteTier(
            RemoteOptions(url: "redis://user@127.0.0.1:\(server.port)", lookupTime: .seconds(5), stallTime: .seconds(5))
        )
    }

    private static let all = ["+get", "+set", "+exists", "+scan", "+getrange"]

    @Test(
        "is an error in each call of a tool, and a miss in a look-up",
        arguments: [("~other:*", nil), ("~pfx:*", "+exists"), ("~pfx:*", "+get"), ("~pfx:*", "+getrange")])
    func calls(keys: String, lacking: String?) throws {
        let tier = try tier(keys, Self.all.filter { $0 != lacking })
        defer { tier.close() }
        let hashes = pages.records.map(\.name.hash)
        let wanted = pages.records.map { RecordRequest(hash: $0.name.hash, tokenCount: $0.name.tokens.count) }
        func isRefused(_ right: String, _ body: () throws -> Void) throws {
            guard lacking == nil || lacking == right else { return }
            let error = #expect(throws: StoreError.self) { try body() }
            #expect(error?.description.contains("NOPERM") == true, "\(right)")
        }
        try isRefused("+exists") { _ = try tier.held(hashes, usedAt: nil) }
        try isRefused("+exists") { _ = try tier.take(pages.records) }
        try isRefused("+get") { _ = try tier.descriptor(of: pages.root) }
        try isRefused("+get") { try tier.lend(wanted, of: pages.layout) { _ in [:] } }
        try isRefused("+get") { _ = try tier.unsound(wanted, of: pages.layout) }
        try isRefused("+getrange") { _ = try tier.pages(of: pages.root, pages.layout, seal: nil) }
        let found = tier.fetched(wanted, of: pages.layout)
        #expect((found.failure == nil) == (lacking != nil && lacking != "+get"))
        #expect(found.isAnswered.allSatisfy { $0 == (found.failure == nil) })
        let leading = tier.leadingCount(of: hashes, before: .after(.seconds(5)))
        #expect(leading == (lacking == nil || lacking == "+exists" ? 0 : hashes.count))
    }

    @Test("is not what a value of another type is: nobody's pull ends for it")
    func foreignValue() throws {
        let tier = try RemoteTier(RemoteOptions(url: server.url))
        defer { tier.close() }
        let first = pages.records[0].name
        let key = "pfx:1:p:\(first.hash)"
        try server.ask("del", key)
        try server.ask("lpush", key, "x")
        #expect(try tier.pages(of: pages.root, pages.layout, seal: nil).names.count == pages.records.count - 1)
        let found = tier.fetched([RecordRequest(hash: first.hash, tokenCount: first.tokens.count)], of: pages.layout)
        #expect(found.failure == nil && found.isAnswered == [true] && found.records[0] == nil)
    }

    @Test("says by its cause what to do")
    func causes() throws {
        func remedy(_ url: String) throws -> String {
            let tier = try RemoteTier(RemoteOptions(url: url))
            defer { tier.close() }
            return #expect(throws: StoreError.self) { try tier.held([.zero], usedAt: nil) }?.remedy ?? ""
        }
        let tier = try tier("~other:*", Self.all)
        tier.close()
        #expect(try remedy("redis://user@127.0.0.1:\(server.port)").contains("~pfx:*"))
        #expect(try remedy(server.url + "/99").contains("database"))
        let password = try PasswordFile("needless")
        #expect(try remedy(server.url + "?protocol=2&password_file=\(password.path)").contains("no password"))
    }

    @Test("of a check names the rights and the keys that a user lacks")
    func check() throws {
        let nothing = try tier("~other:*", Self.all)
        let found = try nothing.check()
        nothing.close()
        #expect(!found.isReadable && found.rights.count { $0.refusal != nil } == 4)
        #expect(found.advice.contains { $0.contains("~pfx:*") } && !found.advice.contains { $0.contains("lacks") })
        let blind = try tier("~pfx:*", Self.all.filter { $0 != "+exists" })
        let other = try blind.check()
        blind.close()
        #expect(!other.isReadable && other.rights.filter { $0.refusal != nil }.map(\.name) == ["EXISTS"])
        #expect(!other.advice.contains { $0.contains("~pfx:*") })
    }

    @Test("of a check names what is missing, also to a user who may ask and not load, or not even begin")
    func checkNames() throws {
        let half = try tier("~pfx:*", ["+set", "+exists"])
        let found = try half.check()
        half.close()
        #expect(!found.isReadable)
        #expect(found.rights.filter { $0.refusal != nil }.map(\.name) == ["GET", "GETRANGE", "SCAN"])
        #expect(found.advice.contains { $0.contains("lacks the right GET,") }, "\(found.advice)")
        let mute = try tier("~pfx:*", Self.all + ["-ping"])
        let other = try mute.check()
        mute.close()
        #expect(other.rights.map(\.name) == ["PING"] && !other.isReadable)
        #expect(other.advice.contains { $0.contains("PING") } && !other.advice.contains { $0.contains("EXISTS") })
    }

    @Test("of one client more than the server takes is told as that")
    func clients() throws {
        let small = try RedisServer(["--maxclients", "1"])
        let first = try RemoteTier(RemoteOptions(url: small.url))
        defer { first.close() }
        var isConnected = false
        for _ in 0..<500 where !isConnected {
            isConnected = (try? first.held([.zero], usedAt: nil)) != nil
            if !isConnected { usleep(20_000) }
        }
        #expect(isConnected)
        let second = try RemoteTier(RemoteOptions(url: small.url))
        defer { second.close() }
        let error = #expect(throws: StoreError.self) { try second.held([.zero], usedAt: nil) }
        #expect(error?.description.contains("too many connections") == true, "\(String(describing: error))")
        #expect(error?.remedy.contains("maxclients") == true)
    }

    @Test("tells pages that are gone from damaged ones")
    func gone() throws {
        let tier = try RemoteTier(RemoteOptions(url: server.url))
        defer { tier.close() }
        let names = pages.records.map(\.name)
        try server.ask("del", "pfx:1:p:\(names[0].hash)")
        try server.ask("setrange", "pfx:1:p:\(names[1].hash)", "300", "XXXXXXXX")
        let wanted = names.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokens.count) }
        let unsound = try tier.unsound(wanted, of: pages.layout)
        #expect(unsound == [names[0].hash, names[1].hash])
        #expect(unsound.filter { tier.isDamaged($0) } == [names[1].hash])
    }
}

@Suite("A check of replicas", .serialized)
struct ReplicaCheckTests {
    private func advice(_ servers: String) throws -> [String] {
        let tier = try RemoteTier(RemoteOptions(url: "redis://" + servers))
        defer { tier.close() }
        return try tier.check().advice
    }

    @Test("finds one that is down, one that is no replica, and one that is named twice")
    func replicas() throws {
        let (primary, other) = (try RedisServer(), try RedisServer())
        let place = "127.0.0.1:\(primary.port)"
        #expect(try !advice(place).contains { $0.contains("replica") })
        let none = try RedisServer.freePort()
        #expect(
            try advice("\(place),127.0.0.1:\(none)").contains {
                $0.contains("\(none)") && $0.contains("cannot be reached")
            })
        #expect(try advice("\(place),\(place)").contains { $0.contains("its own replica") })
        let pair = "\(place),127.0.0.1:\(other.port)"
        #expect(try advice(pair).contains { $0.contains("is no replica of \(place)") })
        #expect(try advice(pair + "?read=any").contains { $0.contains("did not come back") })
        try other.ask("replicaof", "127.0.0.1", "\(primary.port)")
        for _ in 0..<500 where !(try other.ask("info", "replication").contains("master_link_status:up")) {
            usleep(20_000)
        }
        #expect(try !advice(pair).contains { $0.contains("replica") })
    }
}
