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
        #expect(pushed.pages == 21 && pushed.moved == 21 && pushed.refused == 0)
        #expect(try inspect("first") { try $0.push(root, to: remote) }.alreadyThere == 21)
        try Store(at: folder.path("second"), options: StoreOptions(quota: .mebibytes(64))).close()
        let pulled = try inspect("second") { try $0.pull(root, from: remote) }
        #expect(pulled.moved == 21 && pulled.refused == 0)
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
        #expect(try inspect("first") { try $0.push(root, to: remote, under: path[3]) }.moved == 7)
        try Store(at: folder.path("third"), options: StoreOptions(quota: .mebibytes(64))).close()
        #expect(try inspect("third") { try $0.pull(root, from: remote, under: path[5]) }.moved == 7)
        #expect(throws: StoreError.noSuchSpace(PrefixHash.sha256([1]).short)) {
            try inspect("third") { try $0.pull(.sha256([1]), from: remote) }
        }
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
