// Stores of several hosts with an object store between them.

import Foundation
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A store with an object store as its remote", .serialized, .enabled(if: S3Server.isExpected))
struct S3StoreTests {
    let server: S3Server
    let prefix = "s\(UInt64.random(in: 0...UInt64.max))"
    let folder: TemporaryFolder
    let model: GeneratedModel
    let prompts: [[TokenID]]

    init() throws {
        server = try S3Server.shared.get()
        folder = try TemporaryFolder()
        model = try GeneratedModel("objects")
        let system: [TokenID] = (0..<90).map { TokenID($0 * 7) }
        prompts = (0..<4).map { (user: Int) -> [TokenID] in
            system + (0..<40 + 9 * user).map { TokenID($0 * 11 + user * 1000) }
        }
    }

    private var remote: RemoteOptions {
        RemoteOptions(url: server.url(prefix), lookupTime: .seconds(20), stallTime: .seconds(20))
    }

    private func host(_ name: String, _ change: (inout StoreOptions) -> Void = { _ in }) throws -> Store {
        var options = StoreOptions(quota: .mebibytes(64), hotCapacity: .zero, promotes: false, remote: remote)
        change(&options)
        return try Store(at: folder.path(name), options: options)
    }

    private func fill(_ store: Store, _ prompts: [[TokenID]]) throws {
        #expect(try store.storeGenerated(prompts, by: model))
    }

    private func load(_ store: Store) throws -> TokensByTier {
        let read = try store.loadGenerated(prompts, by: model)
        #expect(read.wrongBytes == 0)
        return read.tokens
    }

    private var tokens: Int { prompts.reduce(0) { $0 + $1.count } }

    @Test("finds every token that other hosts have stored, also one that has a part of them")
    func hosts() throws {
        let first = try host("first")
        try fill(first, prompts)
        let second = try host("second") { $0.remote?.puts = .none }
        #expect(try load(second).total == tokens)
        #expect(second.statistics.remote?.damagedPages == 0)
        // A third has the beginnings itself.
        let third = try host("third") { $0.remote?.puts = .none }
        try fill(third, prompts.map { Array($0.prefix(96)) })
        let came = try load(third)
        #expect(came.total == tokens && came.remote > 0)
        // What is there is not put again.
        let put = first.statistics.remote?.putPages
        try fill(first, prompts)
        #expect(first.statistics.remote?.putPages == put)
        for store in [first, second, third] { try store.close() }
    }

    @Test("pages go there and back by hand")
    func byHand() throws {
        let first = try host("first") { $0.remote = nil }
        let space = try first.space(model.identity)
        for prompt in prompts { try space.insertGenerated(prompt, by: model) }
        try first.close()
        let root = model.identity.spaceRoot
        func inspect<R>(_ name: String, _ body: (StoreInspector) throws -> R) throws -> R {
            let inspector = try StoreInspector(at: folder.path(name))
            defer { inspector.close() }
            return try body(inspector)
        }
        let pushed = try inspect("first") { try $0.push(root, to: remote) }
        #expect(pushed.moved > 0 && pushed.missing == 0)
        #expect(try inspect("first") { try $0.push(root, to: remote) }.alreadyThere == pushed.pages)
        try Store(at: folder.path("second"), options: StoreOptions(quota: .mebibytes(64))).close()
        let pulled = try inspect("second") { try $0.pull(root, from: remote) }
        #expect(pulled.moved == pushed.moved && pulled.missing == 0)
        let second = try host("second") { $0.remote = nil }
        #expect(try load(second) == TokensByTier(cold: tokens))
        try second.close()
    }

    @Test("a check says what it is, and what to change; a stranger is told why")
    func check() throws {
        let report = try RemoteReport(checking: remote)
        #expect(report.isWritable && report.putRate > 0 && report.fetchRate > 0 && report.primaries == 0)
        #expect(report.advice.contains { $0.contains("lifecycle") })
        let reader = try RemoteReport(checking: RemoteOptions(url: server.url(prefix, as: "reader")))
        #expect(!reader.isWritable && reader.advice.contains { $0.contains("s3:PutObject") })
        #expect(report.rights.count == 3 && report.rights.allSatisfy { $0.isGranted })
        #expect(reader.rights.filter { !$0.isGranted }.map(\.name) == ["s3:PutObject"])
        let error = #expect(throws: StoreError.self) {
            try RemoteReport(checking: RemoteOptions(url: server.url(prefix, as: "stranger")))
        }
        #expect(error?.description.contains("SignatureDoesNotMatch") == true)
    }
}
