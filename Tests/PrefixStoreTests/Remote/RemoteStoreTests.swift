// Stores of several hosts, each with a folder of its own, and one server between them.

import Foundation
import PrefixStore
import StoreTestKit
import Testing
import TestKit
import Threads

@Suite("A store with a remote", .serialized)
struct RemoteStoreTests {
    let server: RedisServer
    let folder: TemporaryFolder
    let model: GeneratedModel
    let prompts: [[TokenID]]

    init() throws {
        server = try RedisServer()
        folder = try TemporaryFolder()
        model = try GeneratedModel("fleet")
        let system: [TokenID] = (0..<90).map { TokenID($0 * 7) }
        prompts = (0..<5).map { (user: Int) -> [TokenID] in
            let first = user * 1000 + 5
            return system + (0..<20 + 9 * user).map { TokenID($0 * 11 + first) }
        }
    }

    private func host(_ name: String, _ change: (inout StoreOptions) -> Void = { _ in }) throws -> Store {
        var options = StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(8))
        options.remote = RemoteOptions(url: "redis://127.0.0.1:\(server.port)", lookupTime: .seconds(2))
        change(&options)
        return try Store(at: folder.path(name), options: options)
    }

    /// Stores all prompts on a host, and waits until the server has them.
    private func fill(_ store: Store) throws {
        let space = try store.space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try store.flush()
        #expect(try store.flushRemote(within: .seconds(20)))
    }

    /// Loads all prompts; returns the tokens that came, by tier.
    private func load(_ store: Store) throws -> TokensByTier {
        let space = try store.space(model.identity)
        var all = TokensByTier()
        for prompt in prompts {
            let read = try space.loadGenerated(prompt, by: model)
            #expect(read.wrongBytes == 0)
            all = all + read.loaded.tokensByTier
        }
        return all
    }

    var tokens: Int { prompts.reduce(0) { $0 + $1.count } }

    @Test("finds every token that another host has stored, and keeps it on its own disk")
    func twoHosts() throws {
        let first = try host("first")
        try fill(first)
        let second = try host("second") { $0.promotes = false }
        let came = try load(second)
        #expect(came.total == tokens && came.remote > 0 && came.hot == 0)
        // What the prompts share came once, or was on its way to the disk.
        #expect(second.statistics.remote?.damagedPages == 0)
        for _ in 0..<20_000 where second.statistics.remote?.keptPages != second.statistics.remote?.fetchedPages {
            usleep(1000)
        }
        #expect(try load(second) == TokensByTier(cold: tokens))
        try first.close()
        try second.close()
        // Without the server too.
        server.kill()
        let again = try host("second") {
            $0.remote = nil
            $0.promotes = false
        }
        #expect(try load(again) == TokensByTier(cold: tokens))
        try again.close()
    }

    @Test("finds it on a host that joins later, after the folders of all others were deleted")
    func folderDeleted() throws {
        let first = try host("first")
        try fill(first)
        try first.close()
        try FileManager.default.removeItem(atPath: folder.path("first"))
        let third = try host("third")
        #expect(try load(third).total == tokens)
        try third.close()
    }

    @Test("goes on from where RAM and disk end, also inside a page")
    func mixed() throws {
        let first = try host("first")
        try fill(first)
        let second = try host("second") { $0.remote?.puts = .none }
        let space = try second.space(model.identity)
        // 70 tokens: four pages, and six tokens of the fifth.
        try space.insertGenerated(Array(prompts[0][..<70]), by: model)
        let match = try space.match(prompts[0])
        #expect(match.tokensByTier == TokensByTier(hot: 64, remote: prompts[0].count - 64))
        let read = try space.loadGenerated(prompts[0], by: model)
        #expect(read.wrongBytes == 0 && read.loaded.tokens == prompts[0].count)
        try first.close()
        try second.close()
    }

    @Test("reports layers once all pages have come")
    func layers() throws {
        let first = try host("first")
        try fill(first)
        let second = try host("second")
        let reported = Guarded<[Int]>([])
        let read = try second.space(model.identity).loadGenerated(prompts[4], by: model) { layers in
            reported.withLock { $0.append(layers) }
        }
        #expect(read.wrongBytes == 0 && read.loaded.tokensByTier == TokensByTier(remote: prompts[4].count))
        #expect(reported.withLock { $0.sorted().last } == model.layout.layers)
        try first.close()
        try second.close()
    }

    @Test("two hosts that compute the same at once store it once")
    func once() throws {
        let hosts = try (0..<2).map { try host("host \($0)") }
        for host in hosts { try fill(host) }
        let put = hosts.reduce(0) { $0 + ($1.statistics.remote?.putPages ?? 0) }
        // The pages, and the descriptor of their space.
        #expect(try server.ask("dbsize") == "\(put + 1)")
        for host in hosts { try host.close() }
    }

    @Test("puts what was matched often enough, or pinned, or nothing, as it is told")
    func policies() throws {
        let counting = try host("counting") { $0.remote?.puts = .afterHits(2) }
        try fill(counting)
        #expect(try server.ask("dbsize") == "0")
        let space = try counting.space(model.identity)
        _ = try space.match(prompts[0])
        _ = try space.match(prompts[0])
        #expect(try counting.flushRemote(within: .seconds(20)))
        #expect(counting.statistics.remote?.putPages == 6)
        try counting.close()
        try server.ask("flushall")
        let pinning = try host("pinning") { $0.remote?.puts = .pinned }
        try fill(pinning)
        #expect(try server.ask("dbsize") == "0")
        try pinning.space(model.identity).pin(prompts[1])
        #expect(try pinning.flushRemote(within: .seconds(20)))
        #expect(pinning.statistics.remote?.putPages == UInt64((prompts[1].count + 15) / 16))
        try pinning.close()
        try server.ask("flushall")
        let reading = try host("reading") { $0.remote?.puts = RemotePuts.none }
        try fill(reading)
        #expect(try server.ask("dbsize") == "0")
        try reading.close()
    }

    @Test("opens, stores, matches and closes while there is no server")
    func down() throws {
        server.kill()
        let store = try host("alone")
        let space = try store.space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try store.flush()
        #expect(try load(store).total == tokens)
        #expect(try space.match((0..<100).map { TokenID($0 + 5_000_000) }).isEmpty)
        #expect(store.statistics.remote?.waitingPages ?? 0 > 0)
        #expect(store.statistics.remote?.faults.isEmpty == false)
        try store.close()
    }

    @Test("takes up again what waited, when the server comes back")
    func back() throws {
        server.kill()
        let store = try host("patient")
        let space = try store.space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try store.flush()
        try server.start()
        #expect(try store.flushRemote(within: .seconds(60)))
        try store.close()
        let other = try host("other")
        #expect(try load(other).total == tokens)
        try other.close()
    }

    @Test("a server that stands still costs hits, and nothing else")
    func stopped() throws {
        let first = try host("first")
        try fill(first)
        let second = try host("second") { $0.remote?.lookupTime = .milliseconds(20) }
        let space = try second.space(model.identity)
        server.send(SIGSTOP)
        for prompt in prompts {
            let read = try space.loadGenerated(prompt, by: model)
            #expect(read.wrongBytes == 0)
            try space.insertGenerated(prompt, by: model)
        }
        try second.flush()
        server.send(SIGCONT)
        #expect(try second.flushRemote(within: .seconds(60)))
        try first.close()
        try second.close()
    }

    @Test("refuses a URL that it cannot use before anything is opened")
    func wrongURL() throws {
        #expect(throws: StoreError.self) { try self.host("none") { $0.remote?.url = "ftp://bucket/prefix" } }
        #expect(!FileManager.default.fileExists(atPath: folder.path("none")))
    }

    @Test("only sealed bytes leave the machine when there is a key")
    func sealed() throws {
        let key = try SealingKey(bytes: (0..<32).map { UInt8($0 * 5 + 1) })
        let text = Array("a prompt in plain sight, many times. ".utf8)
        let tokens = (0..<64).map { (place: Int) -> TokenID in
            TokenID(text[place % text.count]) << 8 | TokenID(text[(place + 1) % text.count])
        }
        let store = try host("sealed") { $0.sealingKey = key }
        let space = try store.space(model.identity)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
        #expect(try store.flushRemote(within: .seconds(20)))
        #expect(store.statistics.remote?.putPages == 4)
        let keys = try server.ask("--scan").split(separator: "\n")
        let ids = tokens.prefix(4).flatMap { (id: TokenID) -> [UInt8] in
            (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * UInt32($0))) }
        }
        let page = model.pageBytes(tokens, page: 0).prefix(64)
        #expect(keys.count == 5)
        for key in keys {
            let value = try Array(server.ask("get", String(key)).utf8)
            #expect(!contains(value, ids) && !contains(value, Array(page)))
        }
        try store.close()
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        bytes.indices.contains { bytes[$0...].starts(with: part) }
    }
}
