// The inspector as another program sees it.

import Foundation
import PrefixStore
import StoreTestKit
import Testing

@Suite("A store inspector")
struct StoreInspectorTests {
    let path = NSTemporaryDirectory() + "/pfx-inspector-" + UUID().uuidString
    let model: GeneratedModel
    let tokens = (0..<50).map { TokenID($0) }

    init() throws {
        model = try GeneratedModel()
        let store = try Store(at: path, options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(1)))
        try store.space(model.identity).insertGenerated(tokens, by: model)
        try store.flush()
        try store.close()
    }

    private var hashes: [PrefixHash] {
        PrefixHash.chain(from: model.identity.spaceRoot, tokens: tokens[...], pageSize: model.layout.pageSize)
    }

    private func removeFolder() { try? FileManager.default.removeItem(atPath: path) }

    @Test("sees what the store holds, and keeps its quota")
    func looks() throws {
        defer { removeFolder() }
        let inspector = try StoreInspector(at: path)
        let info = try inspector.info()
        #expect(info.pages == 4)
        #expect(info.quotaBytes == .mebibytes(64))
        #expect(try inspector.spaces().map(\.root) == [model.identity.spaceRoot])
        #expect(try inspector.pages(order: .position).map(\.hash) == hashes)
        #expect(try inspector.page(hashes[3]).isTail)
        #expect(try inspector.children(of: hashes[0]).map(\.hash) == [hashes[1]])
        #expect(try inspector.path(to: hashes[3]) == hashes)
        #expect(try inspector.tokens(of: hashes[3]) == [48, 49])
        #expect(try inspector.frames(of: hashes[0]).allSatisfy(\.isSound))
        #expect(try inspector.resolve(hashes[2].short) == .unique(hashes[2]))
        #expect(try inspector.resolveSpace(model.identity.spaceRoot.short) == .unique(model.identity.spaceRoot))
        #expect(try inspector.verify().findings.isEmpty)
    }

    @Test("sees the branches that requests took, found on disk or in RAM")
    func branches() throws {
        defer { removeFolder() }
        let options = StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(1))
        let store = try Store(at: path, options: options)
        let space = try store.space(model.identity)
        let other = Array(tokens.prefix(32)) + [900, 901, 902]
        // On disk: another way, then on from the end.
        #expect(try space.match(other).tokenCount == 32)
        #expect(try space.match(tokens + [60, 61]).tokenCount == 50)
        // In RAM: the insert meets the pages on disk, and the same request goes another way again.
        try space.insertGenerated(tokens, by: model)
        #expect(try space.match(other).tokenCount == 32)
        try store.close()
        let inspector = try StoreInspector(at: path)
        #expect(try hashes.map { try inspector.page($0).branches } == [2, 2, 0, 0])
    }

    @Test("pins the whole path, trims around it, and removes what follows")
    func works() throws {
        defer { removeFolder() }
        let inspector = try StoreInspector(at: path)
        #expect(try inspector.pin(hashes[1]) == 2)
        #expect(try inspector.trim(to: .zero).pages == 2)
        #expect(try inspector.unpin(hashes[1]) == 2)
        #expect(try inspector.info().pinnedPages == 0)
        #expect(try inspector.remove(hashes[0]) == 2)
        #expect(try inspector.info().pages == 0)
        #expect(throws: StoreError.noSuchPage(hashes[0].short)) { try inspector.pin(hashes[0]) }
    }

    @Test("is refused where this process has the store open, and after it was closed")
    func refused() throws {
        defer { removeFolder() }
        let store = try Store(at: path, options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(1)))
        #expect(throws: StoreError.alreadyOpen(path: path)) { try StoreInspector(at: path) }
        try store.close()
        let inspector = try StoreInspector(at: path)
        inspector.close()
        #expect(throws: StoreError.closed) { try inspector.info() }
        #expect(throws: StoreError.notAFolder(path: path + "-none")) { try StoreInspector(at: path + "-none") }
    }
}
