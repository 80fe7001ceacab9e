// Pages moved by hand where not all can be moved: what is told of that.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("Pages that cannot all be moved by hand", .serialized)
struct TransferLimitTests {
    let server: RedisServer
    let folder: TemporaryFolder
    let model: GeneratedModel
    let prompts: [[TokenID]]
    var root: PrefixHash { model.identity.spaceRoot }
    var remote: RemoteOptions { RemoteOptions(url: "redis://127.0.0.1:\(server.port)") }

    init() throws {
        server = try RedisServer()
        folder = try TemporaryFolder()
        model = try GeneratedModel("limits")
        prompts = (0..<3).map { (user: Int) -> [TokenID] in (0..<100).map { TokenID($0 + user * 500) } }
        try store("first", prompts)
    }

    /// A store that has these prompts.
    private func store(_ name: String, _ prompts: [[TokenID]], quota: ByteCount = .mebibytes(64)) throws {
        let store = try Store(at: folder.path(name), options: StoreOptions(quota: quota))
        for prompt in prompts { try store.space(model.identity).insertGenerated(prompt, by: model) }
        try store.flush()
        try store.close()
    }

    private func inspect<R>(_ name: String, _ body: (StoreInspector) throws -> R) throws -> R {
        let inspector = try StoreInspector(at: folder.path(name))
        defer { inspector.close() }
        return try body(inspector)
    }

    private func push(_ choice: TransferChoice = TransferChoice()) throws -> RemoteTransfer {
        try inspect("first") { try $0.push(root, to: remote, choice) }
    }

    private func pages(_ prompt: Int) -> [PrefixHash] {
        PrefixHash.chain(from: root, tokens: prompts[prompt][...], pageSize: 16)
    }

    // MARK: Prompts

    @Test("a prompt is counted as whole, in part or not at all, and only whole ones are complete")
    func promptCounts() throws {
        let part = Array(prompts[1].prefix(40)) + [9_999_999, 9_999_998]
        let choice = TransferChoice(prompts: [prompts[0], part, [9_999_999]])
        let pushed = try push(choice)
        let wanted = try #require(pushed.prompts)
        #expect(wanted.count == 3 && wanted.whole == 1 && wanted.partial == 1 && wanted.absent == 1)
        #expect(wanted.tokens == 143 && wanted.tokensThere == 140)
        #expect(pushed.missing == 0 && !pushed.isComplete)
        #expect(try push(TransferChoice(prompts: [prompts[0]])).isComplete)
        try store("second", [])
        let pulled = try inspect("second") { try $0.pull(root, from: remote, choice) }
        #expect(pulled.prompts == wanted && !pulled.isComplete)
    }

    @Test("a page that the remote has lost is found missing, and those behind it orphaned")
    func gap() throws {
        _ = try push()
        try server.ask("del", "pfx:1:p:\(pages(0)[1])")
        try store("second", [])
        let pulled = try inspect("second") { try $0.pull(root, from: remote, TransferChoice(prompts: [prompts[0]])) }
        #expect(pulled.moved == 1 && pulled.orphaned == 5 && pulled.pages == 6 && !pulled.isComplete)
        #expect(pulled.prompts?.tokensThere == 16)
    }

    @Test("what the folder has leads to what the remote has")
    func bothSides() throws {
        _ = try push()
        try store("second", [Array(prompts[0].prefix(32))])
        for page in pages(0).prefix(2) { try server.ask("del", "pfx:1:p:\(page)") }
        // A page of another prompt that shares its first token with this one would have been taken instead.
        try store("third", [[prompts[0][0], 7, 7]])
        _ = try inspect("third") { try $0.push(root, to: remote) }
        let pulled = try inspect("second") { try $0.pull(root, from: remote, TransferChoice(prompts: [prompts[0]])) }
        #expect(pulled.moved == 5 && pulled.alreadyThere == 2 && pulled.isComplete, "\(pulled)")
    }

    @Test("prompts of another tokenizer than the space's are refused")
    func tokenizer() throws {
        let engine = try inspect("first") { try #require($0.spaces().first).descriptor.text(.engine) }
        let foreign = Digest.sha256([1, 2, 3])
        func choice(_ engine: String, _ digest: Digest) -> TransferChoice {
            TransferChoice(prompts: [prompts[0]], tokenizer: PromptTokenizer(engine: engine, digest: digest))
        }
        #expect(throws: StoreError.self) { try push(choice(engine, foreign)) }
        #expect(try push(choice(engine, model.identity.tokenizer)).isComplete)
        // Digests of other engines are of other things.
        #expect(try push(choice("another engine", foreign)).isComplete)
    }

    @Test("an end of a prompt is not pulled beside a longer page of the folder")
    func coveredHere() throws {
        try store("short", [Array(prompts[0].prefix(20))])
        _ = try inspect("short") { try $0.push(root, to: remote) }
        let choice = TransferChoice(prompts: [Array(prompts[0].prefix(20))])
        for asked in [TransferChoice(), choice] {
            let pulled = try inspect("first") { try $0.pull(root, from: remote, asked) }
            #expect(pulled.moved == 0 && pulled.covered == 1 && pulled.isComplete, "\(pulled)")
        }
    }

    // MARK: Room

    @Test("a folder that is too small keeps what it has taken, and says what it could not take")
    func smallQuota() throws {
        let many = (0..<200).map { (user: Int) -> [TokenID] in (0..<100).map { TokenID($0 + user * 500) } }
        try store("large", many)
        _ = try inspect("large") { try $0.push(root, to: remote) }
        try store("small", [prompts[0].map { $0 + 400_000 }], quota: .mebibytes(4))
        var before = 0
        for turn in 0..<2 {
            let pulled = try inspect("small") { try $0.pull(root, from: remote) }
            let info = try inspect("small") { try $0.info() }
            #expect(pulled.pages == 1400 && pulled.withoutRoom > 0 && !pulled.isComplete)
            #expect(pulled.moved + pulled.alreadyThere == info.pages && info.pages > 20, "\(turn): \(pulled)")
            if turn == 0 {
                #expect(pulled.evicted == 7 && info.evictedPages == 7, "\(pulled), \(info.evictedPages)")
                before = info.pages
            } else {
                #expect(pulled.alreadyThere == before && pulled.evicted == 0, "\(before): \(pulled)")
            }
        }
    }

    @Test("a server that is too small keeps what describes the space, and its evictions are counted")
    func smallServer() throws {
        let many = (0..<400).map { (user: Int) -> [TokenID] in (0..<100).map { TokenID($0 + user * 500) } }
        try store("large", many)
        let lines = try server.ask("info", "memory").split(whereSeparator: \.isNewline)
        let used = try #require(lines.first { $0.hasPrefix("used_memory:") })
        let bytes = try #require(Int(used.dropFirst(12).filter(\.isNumber)))
        try server.ask("config", "set", "maxmemory", "\(bytes + 2 << 20)")
        try server.ask("config", "set", "maxmemory-policy", "allkeys-lru")
        let pushed = try inspect("large") { try $0.push(root, to: remote) }
        #expect(pushed.pages == 2800 && pushed.withoutRoom > 0 && !pushed.isComplete, "\(pushed)")
        #expect(pushed.moved + pushed.withoutRoom == 2800)
        #expect(try server.ask("exists", "pfx:1:s:\(root)") == "1")
        #expect(try abs((Int(server.ask("dbsize")) ?? 0) - pushed.moved) < 100)
    }

    // MARK: Remotes that fail

    @Test(
        "the first remote serves when the second is gone, and the error names that one alone", arguments: [true, false])
    func several(isFirst: Bool) throws {
        _ = try push()
        let none = "redis://127.0.0.1:\(try RedisServer.freePort())"
        let both = RemoteOptions(url: isFirst ? "\(remote.url) \(none)" : "\(none) \(remote.url)")
        let asked = TransferChoice(prompts: [prompts[0]])
        let part = try StoreInspector.pull(root, from: both, asked, intoNewStoreAt: folder.path("second"))
        // What was asked for is there without it.
        #expect(part.moved == 7 && part.isComplete && part.failures.count == 1)
        let pulled = try inspect("second") { try $0.pull(root, from: both) }
        #expect(pulled.moved == 14 && pulled.missing == 0 && !pulled.isComplete)
        let sentence = try #require(pulled.failures.first).sentence
        #expect(sentence.contains(none) && !sentence.contains(remote.url))
        let checks = try RemoteReport.all(checking: both)
        #expect(checks.map(\.url) == both.url.split(separator: " ").map(String.init))
        #expect(checks.count { (try? $0.found.get()) != nil } == 1)
        #expect(throws: StoreError.self) {
            try RemoteReport.all(
                checking: RemoteOptions(url: Array(repeating: "redis://a", count: 9).joined(separator: " ")))
        }
    }

    @Test("what has come before a remote fails stays, and is told")
    func interrupted() throws {
        _ = try push()
        // A server that dies on the way would be one by chance. This one delivers the pages of one prompt alone.
        try server.ask("acl", "setuser", "half", "on", "nopass", "~pfx:*", "+@all", "-get", "(+get ~pfx:1:s:*)")
        for page in pages(0) { try server.ask("acl", "setuser", "half", "(+get ~pfx:1:p:\(page))") }
        let half = RemoteOptions(url: "redis://half@127.0.0.1:\(server.port)")
        let pulled = try StoreInspector.pull(root, from: half, intoNewStoreAt: folder.path("second"))
        #expect(pulled.moved == 7 && pulled.unanswered == 14 && pulled.failures.count == 1, "\(pulled)")
        #expect(!pulled.isComplete)
        #expect(try inspect("second") { try $0.pull(root, from: remote) }.moved == 14)
    }

    @Test("a pull that fails makes no store")
    func noStore() throws {
        let new = folder.path("new")
        func pull(_ url: String, _ choice: TransferChoice = TransferChoice()) throws -> RemoteTransfer {
            try StoreInspector.pull(root, from: RemoteOptions(url: url), choice, intoNewStoreAt: new)
        }
        _ = try push()
        #expect(throws: StoreError.self) { try pull("bad://x") }
        #expect(throws: StoreError.self) { try pull("redis://127.0.0.1:\(try RedisServer.freePort())") }
        #expect(throws: StoreError.self) { try pull(remote.url, TransferChoice(under: .sha256([1]))) }
        #expect(try pull(remote.url, TransferChoice(prompts: [[9_999_999]])).offered == 21)
        try server.ask("acl", "setuser", "nokeys", "on", "nopass", "~other:*", "+@all")
        #expect(throws: StoreError.self) { try pull("redis://nokeys@127.0.0.1:\(server.port)") }
        for page in (0..<3).map({ pages($0)[0] }) { try server.ask("del", "pfx:1:p:\(page)") }
        #expect(try pull(remote.url).orphaned == 18)
        try server.ask("del", "pfx:1:s:\(root)")
        #expect(throws: StoreError.self) { try pull(remote.url) }
        #expect(!FileManager.default.fileExists(atPath: new))
    }

    @Test("counting ends with a server's refusal, and goes on at the next remote for what the first lacks")
    func counting() throws {
        try server.ask("acl", "setuser", "nokeys", "on", "nopass", "~other:*", "+@all")
        let refused = RemoteOptions(url: "redis://nokeys@127.0.0.1:\(server.port)")
        #expect(throws: StoreError.self) { try inspect("first") { try $0.countPages(on: refused) } }
        _ = try push(TransferChoice(prompts: [prompts[0]]))
        let back = try RedisServer()
        let two = RemoteOptions(url: "redis://127.0.0.1:\(back.port) \(remote.url)")
        #expect(try inspect("first") { try $0.countPages(on: two) }.there == 7)
    }

    @Test("a sealed space with another key is told so, with the ids of both")
    func otherKey() throws {
        let keys = try (0..<2).map { number in try SealingKey(bytes: (0..<32).map { UInt8($0 * 3 + number) }) }
        let sealed = StoreOptions(quota: .mebibytes(64), sealingKey: keys[0])
        let store = try Store(at: folder.path("sealed"), options: sealed)
        try store.space(model.identity).insertGenerated(prompts[0], by: model)
        try store.close()
        let other = try StoreInspector(at: folder.path("sealed"), sealingKey: keys[1])
        let root = try #require(try other.spaces().first?.root)
        let expected = StoreError.wrongKey(found: keys[0].id, given: keys[1].id)
        #expect(throws: expected) { try other.push(root, to: remote) }
        #expect(throws: expected) { try other.pull(root, from: remote) }
        other.close()
        let none = try StoreInspector(at: folder.path("sealed"))
        #expect(throws: StoreError.sealedSpace(root.short)) { try none.push(root, to: remote) }
        none.close()
    }
}
