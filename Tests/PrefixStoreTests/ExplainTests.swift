// Why a prompt was found or not, and flushes that do not wait for ever.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("An explanation")
struct ExplainTests {
    @Test("says what is stored, and in which fields other spaces differ, the nearest first")
    func explain() throws {
        let folder = try TemporaryFolder()
        let store = try Store(
            at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .zero))
        let model = try GeneratedModel()
        let tokens = (0..<40).map { TokenID($0) }
        let salted = try GeneratedModel(salt: Salt([UInt8](repeating: 7, count: 16)))
        let other = try GeneratedModel("another")
        for model in [model, salted, other] { _ = try store.space(model.identity) }
        let space = try store.space(model.identity)
        try space.insertGenerated(tokens, by: model)
        _ = try store.blockSpace(GeneratedModel("blocks", layout: .blocks(element: .bf16)).identity)
        try store.flush()
        let found = try space.explain(tokens + [99])
        #expect(found.requestedTokens == 41 && found.foundTokens == TokensByTier(cold: 40) && found.foundPages == 3)
        #expect(found.root == model.identity.spaceRoot && found.tokensWorthLoading == 40)
        #expect(found.others.map(\.root) == [salted.identity.spaceRoot, other.identity.spaceRoot])
        #expect(found.others[0].differences == [.salt] && found.others[1].differences == [.weights, .tokenizer])
        #expect(found.others[1].labels == ["model": "another"])
        try store.close()
    }
}

@Suite("A flush with a limit")
struct FlushLimitTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<400).map { TokenID($0) }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    @Test("returns when all is on disk", arguments: [WritePolicy.writeThrough, .writeBack])
    func inTime(_ policy: WritePolicy) throws {
        let store = try Store(
            at: folder.path("store"),
            options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(4), writePolicy: policy))
        try store.space(model.identity).insertGenerated(tokens, by: model)
        #expect(try store.flush(within: .seconds(60)))
        #expect(store.statistics.spilledPages == 25)
        try store.close()
    }

    @Test("returns false when its time is up, and nothing is lost", arguments: [WritePolicy.writeThrough, .writeBack])
    func late(_ policy: WritePolicy) throws {
        let store = try Store(
            at: folder.path("store"),
            options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(4), writePolicy: policy))
        try store.space(model.identity).insertGenerated(tokens, by: model)
        #expect(try !store.flush(within: .zero))
        try store.flush()
        #expect(store.statistics.spilledPages == 25)
        try store.close()
        #expect(throws: StoreError.closed) { _ = try store.flush(within: .seconds(1)) }
    }
}
