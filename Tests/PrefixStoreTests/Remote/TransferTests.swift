// Pages between folders and a remote by hand: `StoreInspector.push`, `pull`, and the check of a remote.

import Foundation
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("Pages moved by hand", .serialized)
struct HandTransferTests {
    let server: RedisServer
    let folder: TemporaryFolder
    let model: GeneratedModel
    let prompts: [[TokenID]]
    var remote: RemoteOptions { RemoteOptions(url: "redis://127.0.0.1:\(server.port)") }

    init() throws {
        server = try RedisServer()
        folder = try TemporaryFolder()
        model = try GeneratedModel("by hand")
        prompts = (0..<3).map { (user: Int) -> [TokenID] in (0..<100).map { TokenID($0 + user * 500) } }
        let store = try Store(at: folder.path("first"), options: StoreOptions(quota: .mebibytes(64)))
        let space = try store.space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try store.flush()
        try space.pin(prompts[1])
        try store.close()
    }

    private func inspect<R>(_ name: String, _ body: (StoreInspector) throws -> R) throws -> R {
        let inspector = try StoreInspector(at: folder.path(name))
        defer { inspector.close() }
        return try body(inspector)
    }

    @Test("reach a folder that has never heard of their space, once each")
    func pushAndPull() throws {
        let root = model.identity.spaceRoot
        let pushed = try inspect("first") { try $0.push(root, to: remote) }
        #expect(pushed.pages == 21 && pushed.moved == 21 && pushed.missing == 0)
        #expect(try inspect("first") { try $0.push(root, to: remote) }.alreadyThere == 21)
        try Store(at: folder.path("second"), options: StoreOptions(quota: .mebibytes(64))).close()
        let pulled = try inspect("second") { try $0.pull(root, from: remote) }
        #expect(pulled.moved == 21 && pulled.missing == 0)
        #expect(try inspect("second") { try $0.pull(root, from: remote) }.alreadyThere == 21)
        server.kill()
        let store = try Store(at: folder.path("second"))
        for prompt in prompts {
            let read = try store.space(model.identity).loadGenerated(prompt, by: model)
            #expect(read.wrongBytes == 0 && read.loaded.tokensByTier == TokensByTier(cold: 100))
        }
        try store.close()
    }

    @Test("are those of one path, or those that are pinned, if that is asked for")
    func parts() throws {
        let root = model.identity.spaceRoot
        #expect(try inspect("first") { try $0.push(root, to: remote, isPinned: true) }.moved == 7)
        let path = PrefixHash.chain(from: root, tokens: prompts[2][...], pageSize: 16)
        #expect(try inspect("first") { try $0.push(root, to: remote, TransferChoice(under: path[3])) }.moved == 7)
        try Store(at: folder.path("third"), options: StoreOptions(quota: .mebibytes(64))).close()
        #expect(try inspect("third") { try $0.pull(root, from: remote, TransferChoice(under: path[5])) }.moved == 7)
        let unknown = #expect(throws: StoreError.self) {
            try inspect("third") { try $0.pull(.sha256([1]), from: remote) }
        }
        #expect(unknown?.description.contains("127.0.0.1") == true && unknown?.remedy.contains("pushes") == true)
    }

    @Test("are what prompts begin with, if that is asked for: whole pages, and the one that shares most of the rest")
    func promptLists() throws {
        let root = model.identity.spaceRoot
        // A prompt of the store that ends inside its fourth page, one that goes on in another way, and an unknown one.
        let known = Array(prompts[0].prefix(55)), other = Array(prompts[1].prefix(20)) + [9_999_999]
        let choice = TransferChoice(prompts: [known, other, [9_999_999]])
        let pushed = try inspect("first") { try $0.push(root, to: remote, choice) }
        let wanted = Set(PrefixHash.chain(from: root, tokens: prompts[0].prefix(64), pageSize: 16))
            .union(PrefixHash.chain(from: root, tokens: prompts[1].prefix(32), pageSize: 16))
        #expect(pushed.moved == wanted.count)
        try Store(at: folder.path("fourth"), options: StoreOptions(quota: .mebibytes(64))).close()
        let half = TransferChoice(prompts: [Array(known.prefix(16))])
        #expect(try inspect("fourth") { try $0.pull(root, from: remote, half) }.moved == 1)
        #expect(try inspect("fourth") { try $0.pull(root, from: remote, choice) }.moved == wanted.count - 1)
        let store = try Store(at: folder.path("fourth"))
        #expect(try store.space(model.identity).match(known).tokenCount == 55)
        try store.close()
        #expect(try inspect("first") { try $0.push(root, to: remote, TransferChoice(prompts: [])) }.pages == 0)
    }

    @Test("replace what is damaged there, if that is to be looked at")
    func damaged() throws {
        let root = model.identity.spaceRoot
        _ = try inspect("first") { try $0.push(root, to: remote) }
        let path = PrefixHash.chain(from: root, tokens: prompts[0][...], pageSize: 16)
        let key = "pfx:1:p:\(path[2])"
        let sound = try server.value(of: key)
        try server.ask("setrange", key, "\(sound.count - 3)", "xy")
        #expect(try inspect("first") { try $0.push(root, to: remote) }.alreadyThere == 21)
        #expect(try server.value(of: key) != sound)
        let pushed = try inspect("first") { try $0.push(root, to: remote, verifies: true) }
        #expect(pushed.replaced == 1 && pushed.moved == 1 && pushed.alreadyThere == 20 && pushed.missing == 0)
        #expect(try server.value(of: key) == sound)
    }

    @Test("are counted on a remote, which has some of them")
    func counted() throws {
        #expect(try inspect("first") { try $0.push(model.identity.spaceRoot, to: remote, isPinned: true) }.moved == 7)
        let found = try inspect("first") { try $0.countPages(on: remote) }
        #expect(found.there == 7 && found.all == 21)
    }

    @Test("a check names the right that a user lacks, and who needs it")
    func rights() throws {
        let all = try RemoteReport(checking: remote)
        #expect(all.rights.map(\.name) == ["EXISTS", "GET", "GETRANGE", "SCAN", "SET"])
        #expect(all.rights.allSatisfy { $0.isGranted })
        // The rights of docs/fleet.md, without those of the commands.
        try server.ask("acl", "setuser", "default", "-@all", "+@connection", "+get", "+set", "+exists")
        let some = try RemoteReport(checking: remote)
        #expect(some.rights.filter { !$0.isGranted }.map(\.name) == ["GETRANGE", "SCAN"])
        #expect(some.advice.contains { $0.contains("GETRANGE") && $0.contains("pfx pull") })
    }

    @Test("an error says what to do about its own cause")
    func remedies() throws {
        try server.ask("config", "set", "requirepass", "secret")
        let refused = #expect(throws: StoreError.self) { try RemoteReport(checking: remote) }
        #expect(refused?.remedy.contains("REDISCLI_AUTH") == true)
        server.kill()
        let gone = #expect(throws: StoreError.self) { try RemoteReport(checking: remote) }
        #expect(gone?.remedy.contains("port") == true)
    }

    @Test("are as many afterwards as were counted: what a longer page covers is not moved")
    func covered() throws {
        let root = model.identity.spaceRoot
        // 100 tokens end inside a page; the same and six more cover that end.
        for (name, prompt) in [("short", prompts[0]), ("long", prompts[0] + (0..<6).map { TokenID($0 + 7_000) })] {
            let store = try Store(at: folder.path(name), options: StoreOptions(quota: .mebibytes(64)))
            try store.space(model.identity).insertGenerated(prompt, by: model)
            try store.close()
            _ = try inspect(name) { try $0.push(root, to: remote) }
        }
        try Store(at: folder.path("third"), options: StoreOptions(quota: .mebibytes(64))).close()
        let pulled = try inspect("third") { try $0.pull(root, from: remote) }
        #expect(pulled.pages == 8 && pulled.moved == 7 && pulled.covered == 1 && pulled.missing == 0)
        #expect(try inspect("third") { try $0.info().pages } == 7)
        let again = try inspect("third") { try $0.pull(root, from: remote) }
        #expect(again.moved == 0 && again.alreadyThere == 7 && again.covered == 1)
    }

    @Test("that could not be moved are counted by the reason")
    func reasons() throws {
        let root = model.identity.spaceRoot
        _ = try inspect("first") { try $0.push(root, to: remote) }
        let path = PrefixHash.chain(from: root, tokens: prompts[0][...], pageSize: 16)
        try server.ask("setrange", "pfx:1:p:\(path[2])", "300", "XXXXXXXX")
        try Store(at: folder.path("second"), options: StoreOptions(quota: .mebibytes(64))).close()
        let pulled = try inspect("second") { try $0.pull(root, from: remote) }
        #expect(pulled.damaged == 1 && pulled.orphaned == 4 && pulled.moved == 16 && pulled.missing == 5)
        try server.ask("flushall")
        try server.ask("config", "set", "maxmemory-policy", "noeviction")
        try server.ask("config", "set", "maxmemory", "1")
        let full = try inspect("first") { try $0.push(root, to: remote) }
        #expect(full.failures.first?.sentence.contains("it is full") == true && full.unanswered == 21)
    }

    @Test("of a space that this folder cannot read register nothing")
    func foreign() throws {
        let keys = try (0..<2).map { number in try SealingKey(bytes: (0..<32).map { UInt8($0 * 3 + number) }) }
        let sealed = StoreOptions(quota: .mebibytes(64), sealingKey: keys[0])
        let store = try Store(at: folder.path("sealed"), options: sealed)
        try store.space(model.identity).insertGenerated(prompts[0], by: model)
        try store.close()
        let ours = try StoreInspector(at: folder.path("sealed"), sealingKey: keys[0])
        let root = try #require(try ours.spaces().first?.root)
        #expect(try ours.push(root, to: remote).moved == 7)
        ours.close()
        try Store(at: folder.path("plain"), options: StoreOptions(quota: .mebibytes(64))).close()
        #expect(try inspect("plain") { try $0.pull(root, from: remote).pages } == 0)
        #expect(try inspect("plain") { try $0.spaces().isEmpty })
        // Nor does a store with a key take pages that are not sealed with it.
        _ = try inspect("first") { try $0.push(model.identity.spaceRoot, to: remote) }
        try Store(at: folder.path("other"), options: StoreOptions(quota: .mebibytes(64), sealingKey: keys[1])).close()
        let other = try StoreInspector(at: folder.path("other"), sealingKey: keys[1])
        defer { other.close() }
        for root in [root, model.identity.spaceRoot] {
            #expect(throws: StoreError.self) { try other.pull(root, from: remote) }
        }
        #expect(try other.spaces().isEmpty)
    }

    @Test("a check says what a remote is, and what to change")
    func check() throws {
        let report = try RemoteReport(checking: remote)
        #expect(report.isWritable && report.primaries == 1 && report.putRate > 0 && report.fetchRate > 0)
        #expect(report.version?.contains("Redis 7") == true || report.version?.contains("Valkey") == true)
        #expect(report.advice.contains { $0.contains("maxmemory") })
        try server.ask("config", "set", "maxmemory", "100mb")
        try server.ask("config", "set", "maxmemory-policy", "allkeys-lru")
        #expect(try !RemoteReport(checking: remote).advice.contains { $0.contains("maxmemory") })
        server.kill()
        #expect(throws: StoreError.self) { try RemoteReport(checking: remote) }
    }
}
