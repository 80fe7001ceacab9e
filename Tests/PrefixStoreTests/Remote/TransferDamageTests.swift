// Pages moved by hand where the remote has something else than pages, where dates have passed, and where only a part
// of the servers is up.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("Pages moved by hand, where something is amiss", .serialized)
struct TransferDamageTests {
    let server: RedisServer
    let folder: TemporaryFolder
    let model: GeneratedModel
    let prompts: [[TokenID]]
    var root: PrefixHash { model.identity.spaceRoot }
    var remote: RemoteOptions { RemoteOptions(url: "redis://127.0.0.1:\(server.port)") }

    init() throws {
        server = try RedisServer()
        folder = try TemporaryFolder()
        model = try GeneratedModel("amiss")
        prompts = (0..<3).map { (user: Int) -> [TokenID] in (0..<100).map { TokenID($0 + user * 500) } }
        try store("first", prompts)
    }

    /// A store that has these prompts.
    private func store(_ name: String, _ prompts: [[TokenID]]) throws {
        let store = try Store(at: folder.path(name), options: StoreOptions(quota: .mebibytes(64)))
        for prompt in prompts { try store.space(model.identity).insertGenerated(prompt, by: model) }
        try store.flush()
        try store.close()
    }

    private func inspect<R>(_ name: String, _ body: (StoreInspector) throws -> R) throws -> R {
        let inspector = try StoreInspector(at: folder.path(name))
        defer { inspector.close() }
        return try body(inspector)
    }

    private func push(_ choice: TransferChoice = TransferChoice(), verifies: Bool = false) throws -> RemoteTransfer {
        try inspect("first") { try $0.push(root, to: remote, choice, verifies: verifies) }
    }

    private func key(_ prompt: Int, _ page: Int) -> String {
        "pfx:1:p:\(PrefixHash.chain(from: root, tokens: prompts[prompt][...], pageSize: 16)[page])"
    }

    /// Has all pages of a prompt, or a page, expire in a store.
    private func expire(_ tokens: [TokenID], in name: String) throws {
        let store = try Store(at: folder.path(name))
        try store.space(model.identity).expire(tokens, at: Timestamp(milliseconds: 1000))
        try store.close()
    }

    @Test("a pull is not complete while last pages cannot be read, and a push that verifies puts them right")
    func unreadable() throws {
        #expect(try push().moved == 21)
        try server.ask("setrange", key(0, 6), "20", "XX")
        try server.ask("set", key(1, 6), "PFXwire1")
        try server.ask("del", key(2, 6))
        try server.ask("rpush", key(2, 6), "x")
        let pulled = try StoreInspector.pull(root, from: remote, intoNewStoreAt: folder.path("second"))
        #expect(pulled.moved == 18 && pulled.damaged == 3 && pulled.pages == 21 && !pulled.isComplete, "\(pulled)")
        let asked = TransferChoice(prompts: [prompts[0]])
        #expect(try inspect("second") { try $0.pull(root, from: remote, asked) }.damaged == 1)
        let pushed = try push(verifies: true)
        #expect(pushed.replaced == 3 && pushed.alreadyThere == 18 && pushed.isComplete, "\(pushed)")
        let again = try inspect("second") { try $0.pull(root, from: remote) }
        #expect(again.moved == 3 && again.isComplete)
        // What is there already is not missed.
        try server.ask("set", key(1, 6), "")
        #expect(try inspect("second") { try $0.pull(root, from: remote) }.isComplete)
    }

    @Test("what has expired in a folder is not pushed, and not brought back by a pull")
    func expired() throws {
        try store("second", prompts)
        #expect(try push().moved == 21)
        try expire(Array(prompts[0].prefix(48)), in: "second")
        let pulled = try inspect("second") { try $0.pull(root, from: remote) }
        #expect(pulled.expired == 5 && pulled.alreadyThere == 16 && pulled.moved == 0 && pulled.isComplete, "\(pulled)")
        let store = try Store(at: folder.path("second"))
        #expect(try store.space(model.identity).match(prompts[0]).tokenCount == 32)
        try store.close()
        try server.ask("flushall")
        let pushed = try inspect("second") { try $0.push(root, to: remote) }
        #expect(pushed.moved == 16 && pushed.expired == 5 && pushed.isComplete, "\(pushed)")
        #expect(try inspect("second") { try $0.countPages(on: remote) }.all == 16)
    }

    @Test("a tail that has expired in a folder stands in the way of no longer page that has its tokens")
    func expiredTail() throws {
        #expect(try push().moved == 21)
        let prompt = Array(prompts[0].prefix(90))
        try store("second", [prompt])
        try expire(prompt, in: "second")
        let choice = TransferChoice(prompts: [prompt])
        let pulled = try inspect("second") { try $0.pull(root, from: remote, choice) }
        #expect(pulled.moved == 1 && pulled.prompts?.whole == 1 && pulled.isComplete, "\(pulled)")
    }

    @Test("a push counts prompts by what the remote has, also those that the folder lacks")
    func promptsOfOthers() throws {
        #expect(try push(TransferChoice(prompts: [prompts[0]])).moved == 7)
        try store("second", [prompts[1]])
        let choice = TransferChoice(prompts: [prompts[0], prompts[1]])
        let pushed = try inspect("second") { try $0.push(root, to: remote, choice) }
        #expect(pushed.moved == 7 && pushed.prompts?.whole == 2 && pushed.isComplete, "\(pushed)")
    }

    @Test("what a push could not begin is counted, page by page")
    func account() throws {
        server.kill()
        let pushed = try push()
        #expect(pushed.pages == 21 && pushed.unanswered == 21 && pushed.failures.count == 1, "\(pushed)")
        #expect(pushed.failures.first?.sentence.contains("cannot be reached") == true)
    }

    @Test("a folder that fails is told with what was moved, and a new one does not stay empty")
    func folderFails() throws {
        _ = try push()
        try Data().write(to: URL(fileURLWithPath: folder.path("file")))
        let pulled = try StoreInspector.pull(root, from: remote, intoNewStoreAt: folder.path("file/new"))
        #expect(pulled.unanswered == 21 && pulled.failures.first?.isRemote == false, "\(pulled)")
    }

    @Test("a pull reads a replica while the primary is down, and a check says which server is up")
    func replica() throws {
        let replica = try RedisServer()
        try replica.ask("replicaof", "127.0.0.1", "\(server.port)")
        #expect(try push().moved == 21)
        let url = "redis://127.0.0.1:\(server.port),127.0.0.1:\(replica.port)"
        for _ in 0..<500 where try replica.ask("dbsize") != "22" { usleep(20_000) }
        server.kill()
        let pulled = try StoreInspector.pull(
            root, from: RemoteOptions(url: url), intoNewStoreAt: folder.path("second"))
        #expect(pulled.moved == 21 && pulled.isComplete, "\(pulled)")
        let report = try RemoteReport(checking: RemoteOptions(url: url))
        #expect(report.isReadable && !report.isWritable && report.servers.map { $0.fault == nil } == [false, true])
        #expect(report.advice.contains { $0.contains("127.0.0.1:\(server.port) is down") }, "\(report.advice)")
        let alone = try RemoteReport(checking: RemoteOptions(url: "redis://127.0.0.1:\(replica.port)"))
        #expect(alone.advice.contains { $0.contains("is a replica") })
        #expect(!alone.advice.contains { $0.contains("lacks") })
    }

    @Test("no word is said of seals where nothing is sealed")
    func seals() throws {
        #expect(try push().otherwiseSealed == 0)
        for page in 0..<7 { for prompt in 0..<3 { try server.ask("del", key(prompt, page)) } }
        let pulled = try StoreInspector.pull(root, from: remote, intoNewStoreAt: folder.path("second"))
        #expect(pulled.pages == 0 && pulled.otherwiseSealed == 0)
        let sealing = try SealingKey(bytes: (0..<32).map { UInt8($0) })
        let sealed = try Store(
            at: folder.path("sealed"), options: StoreOptions(quota: .mebibytes(64), sealingKey: sealing))
        try sealed.space(model.identity).insertGenerated(prompts[0], by: model)
        try sealed.close()
        let inspector = try StoreInspector(at: folder.path("sealed"), sealingKey: sealing)
        let root = try #require(try inspector.spaces().first?.root)
        #expect(try inspector.push(root, to: remote).moved == 7)
        inspector.close()
        let blind = try StoreInspector.pull(root, from: remote, intoNewStoreAt: folder.path("third"))
        #expect(blind.pages == 0 && blind.otherwiseSealed == 7 && blind.damaged == 0)
        let error = #expect(throws: StoreError.self) {
            try StoreInspector.pull(
                root, from: remote, intoNewStoreAt: folder.path("fourth"), sealingKey: sealing)
        }
        #expect(error?.description.contains("sealing key") == true && error?.exitsAsRemote == true)
    }
}

extension StoreError {
    fileprivate var exitsAsRemote: Bool {
        guard case .remoteFailure = self else { return false }
        return true
    }
}
