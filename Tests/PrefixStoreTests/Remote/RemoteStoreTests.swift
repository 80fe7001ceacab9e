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
    private func fill(_ store: Store) throws { #expect(try store.storeGenerated(prompts, by: model)) }

    /// Loads all prompts; returns the tokens that came, by tier.
    private func load(_ store: Store) throws -> TokensByTier {
        let read = try store.loadGenerated(prompts, by: model)
        #expect(read.wrongBytes == 0)
        return read.tokens
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

    /// What is computed next belongs to the prefix, wherever the prefix came from.
    @Test(
        "stores what is inserted behind pages that came from the remote",
        arguments: [true, false], [ByteCount.zero, .mebibytes(8)])
    func continued(promotes: Bool, hot: ByteCount) throws {
        let first = try host("first")
        try fill(first)
        let name = "second \(promotes) \(hot)"
        let second = try host(name) {
            $0.promotes = promotes
            $0.hotCapacity = hot
            $0.remote?.puts = .none
        }
        let space = try second.space(model.identity)
        var whole: [[TokenID]] = []
        for prompt in prompts {
            let (loaded, _) = try space.loadGenerated(prompt, by: model)
            #expect(loaded.tokens == prompt.count)
            whole.append(prompt + (0..<40).map { TokenID($0 + 9_000_000) })
            try space.insertGenerated(whole[whole.count - 1], by: model, after: loaded.place)
        }
        try second.flush()
        #expect(second.statistics.orphanPages == 0)
        try second.close()
        try first.close()
        server.kill()
        let again = try host(name) {
            $0.remote = nil
            $0.hotCapacity = .zero
        }
        for prompt in whole {
            let read = try again.space(model.identity).loadGenerated(prompt, by: model)
            #expect(read.wrongBytes == 0 && read.loaded.tokensByTier == TokensByTier(cold: prompt.count))
        }
        try again.close()
    }

    @Test("puts a page that was only in RAM when it had been matched often enough, once it is on disk")
    func hitsBeforeDisk() throws {
        let store = try host("write-back") {
            $0.remote?.puts = .afterHits(2)
            $0.writePolicy = .writeBack
        }
        let space = try store.space(model.identity)
        try space.insertGenerated(prompts[0], by: model)
        for _ in 0..<3 { _ = try space.match(prompts[0]) }
        #expect(try store.flushRemote(within: .seconds(20)))
        #expect(store.statistics.remote?.putPages == 0)
        try store.flush()
        #expect(try store.flushRemote(within: .seconds(20)))
        #expect(store.statistics.remote?.putPages == 6)
        try store.close()
    }

    @Test("only sealed bytes leave the machine when there is a key")
    func sealed() throws {
        let key = try SealingKey(bytes: (0..<32).map { UInt8($0 * 5 + 1) })
        let text = Array("a prompt in plain sight, many times. ".utf8)
        let tokens = (0..<64).map { (place: Int) -> TokenID in
            TokenID(text[place % text.count]) << 8 | TokenID(text[(place + 1) % text.count])
        }
        /// The pages that a host puts, without what is before the record: that says only what kind of value it is. The
        /// descriptor of the space is readable, as docs/security.md says.
        func values(_ name: String, _ key: SealingKey?) throws -> [UInt8] {
            try server.ask("flushall")
            let store = try host(name) { $0.sealingKey = key }
            try store.space(model.identity).insertGenerated(tokens, by: model)
            try store.flush()
            #expect(try store.flushRemote(within: .seconds(20)))
            #expect(store.statistics.remote?.putPages == 4)
            try store.close()
            let keys = try server.ask("--scan").split(separator: "\n").filter { $0.contains(":p:") }
            #expect(keys.count == 4)
            return try keys.flatMap { try server.value(of: String($0)).dropFirst(12) }
        }
        let plain = try values("plain", nil)
        // Token ids, and bytes of pages as they are stored: those in which no byte comes often.
        let ids = tokens.prefix(4).flatMap { (id: TokenID) -> [UInt8] in
            (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * UInt32($0))) }
        }
        let marks = stride(from: 0, to: plain.count - 12, by: 41).map { Array(plain[$0..<$0 + 12]) }
            .filter { Set($0).count > 9 }
        #expect(marks.count > 50)
        let again = try values("plain too", nil), sealed = try values("sealed", key)
        // The control: another host puts the same pages, and only the time of an insert differs.
        #expect(contains(again, ids) && marks.count { contains(again, $0) } > marks.count * 9 / 10)
        #expect(!contains(sealed, ids))
        #expect(!marks.contains { contains(sealed, $0) })
    }

    private func contains(_ bytes: [UInt8], _ part: [UInt8]) -> Bool {
        Data(bytes).range(of: Data(part)) != nil
    }
}
