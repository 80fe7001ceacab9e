// What bounds the pages that wait to be put: their number, their rate, and the time of the closing.

import Foundation
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("Pages that wait to be put", .serialized)
struct UploadTests {
    let server: RedisServer
    let folder: TemporaryFolder
    let model: GeneratedModel

    init() throws {
        server = try RedisServer()
        folder = try TemporaryFolder()
        model = try GeneratedModel("uploads")
    }

    private func store(_ change: (inout RemoteOptions) -> Void) throws -> Store {
        var remote = RemoteOptions(url: "redis://127.0.0.1:\(server.port)", lookupTime: .seconds(2))
        change(&remote)
        return try Store(
            at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .zero, remote: remote))
    }

    /// Stores pages of many tokens; returns how many.
    private func fill(_ store: Store) throws -> Int {
        let space = try store.space(model.identity)
        let size = model.identity.layout.pageSize
        try space.insertGenerated((0..<100 * size).map { TokenID($0) }, by: model)
        try store.flush()
        return 100
    }

    @Test("are no more than the queue holds; the others are counted, and stay on disk")
    func queue() throws {
        server.send(SIGSTOP)
        let store = try store {
            $0.queueCapacity = .kibibytes(4)
            $0.closeTime = .zero
        }
        let pages = try fill(store)
        let remote = try #require(store.statistics.remote)
        #expect(remote.droppedPages > 0 && remote.waitingPages > 0)
        #expect(Int(remote.droppedPages + remote.waitingPages) == pages)
        #expect(try !store.flushRemote(within: .zero))
        server.send(SIGCONT)
        #expect(try store.flushRemote(within: .seconds(30)))
        #expect(store.statistics.remote?.putPages == remote.waitingPages)
        try store.close()
    }

    @Test("bring what describes their space even if another host has put them: a full server evicts that first")
    func descriptor() throws {
        let key = "pfx:1:s:\(model.identity.spaceRoot)"
        for turn in 0..<2 {
            try server.ask("del", key)
            let remote = RemoteOptions(url: "redis://127.0.0.1:\(server.port)")
            let store = try Store(
                at: folder.path("host \(turn)"), options: StoreOptions(quota: .mebibytes(64), remote: remote))
            let pages = try fill(store)
            #expect(try store.flushRemote(within: .seconds(30)))
            #expect(store.statistics.remote?.putPages == (turn == 0 ? UInt64(pages) : 0))
            try store.close()
            #expect(try server.ask("exists", key) == "1")
        }
    }

    @Test("have the end of a prompt among them, though the disk has it only as a part of a longer page by then")
    func ends() throws {
        server.send(SIGSTOP)
        let store = try store { $0.closeTime = .seconds(30) }
        let space = try store.space(model.identity)
        let prompt: [TokenID] = (0..<model.identity.layout.pageSize + 3).map { TokenID($0) }
        try space.insertGenerated(prompt, by: model)
        try store.flush()
        try space.insertGenerated(prompt + [7, 7], by: model)
        try store.flush()
        server.send(SIGCONT)
        #expect(try store.flushRemote(within: .seconds(30)))
        try store.close()
        let other = try Store(
            at: folder.path("other"),
            options: StoreOptions(
                quota: .mebibytes(64),
                remote: RemoteOptions(url: "redis://127.0.0.1:\(server.port)", lookupTime: .seconds(5))))
        #expect(try other.space(model.identity).match(prompt).tokenCount == prompt.count)
        try other.close()
    }

    @Test("go no faster than they may")
    func rate() throws {
        let store = try store { $0.putRate = .kibibytes(1) }
        let pages = try fill(store)
        // The first batch goes at once, and pays for itself afterwards; at 1 KiB per second that takes long.
        for _ in 0..<5000 where store.statistics.remote?.putPages == 0 { usleep(1000) }
        let remote = try #require(store.statistics.remote)
        #expect((1..<UInt64(pages)).contains(remote.putPages) && remote.waitingPages > 0)
        _ = try store.close(within: .zero)
        #expect(Int(try server.ask("dbsize")) ?? 0 < pages)
    }

    @Test("are waited for as long as the closing may take, and are put by then")
    func closing() throws {
        let store = try store { $0.closeTime = .seconds(30) }
        let pages = try fill(store)
        try store.close()
        // The descriptor of the space is one more.
        #expect(Int(try server.ask("dbsize")) == pages + 1)
    }

    @Test("hold up no closing that may take no time")
    func noTime() throws {
        server.send(SIGSTOP)
        let store = try store { $0.closeTime = .zero }
        _ = try fill(store)
        try store.close()
        server.send(SIGCONT)
        #expect(Int(try server.ask("dbsize")) == 0)
    }
}
