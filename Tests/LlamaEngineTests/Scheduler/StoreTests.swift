import Foundation
import PrefixStore
import Testing
import TestKit

@testable import LlamaEngine

@Suite("An engine with a store")
final class StoreTests {
    private let folder: TemporaryFolder
    private let options = EngineOptions(pageSize: 16)

    init() throws { folder = try TemporaryFolder() }

    private func withStore<R>(_ body: (Store) throws -> R) throws -> R {
        let store = try Store(at: folder.path)
        let result = try body(store)
        try store.close()
        return result
    }

    private func engine(_ name: String, _ store: Store?, salt: Salt? = nil) throws -> Engine {
        try Engine(
            checkpoint: try Checkpoint(folder: Fixtures.checkpoint(name)), options: options, store: store, salt: salt)
    }

    @Test("gives the replies of one without: filling the store, from RAM, and from disk after a restart")
    func identicalReplies() throws {
        let requests = groupedRequests(50, seed: 41)
        let without = try engine("llama-bf16", nil).oneByOne(requests)
        try withStore { store in
            #expect(try engine("llama-bf16", store).results(requests).mapValues(\.tokens) == without)
            let hot = try engine("llama-bf16", store).results(requests)
            #expect(hot.mapValues(\.tokens) == without)
            #expect(hot.values.allSatisfy { $0.reusedTokens.total == $0.promptTokens - 1 && $0.reusedTokens.cold == 0 })
        }
        try withStore { store in
            let engine = try engine("llama-bf16", store)
            let cold = engine.results(requests)
            #expect(cold.mapValues(\.tokens) == without)
            #expect(cold.values.allSatisfy { $0.reusedTokens.total == $0.promptTokens - 1 })
            #expect(cold.values.contains { $0.reusedTokens.cold == $0.promptTokens - 1 })
            #expect(engine.storeFailure == nil)
        }
    }

    @Test("reuses a reply in the next turn, from disk, up to its last token")
    func nextTurn() throws {
        var random = SplitMix64(seed: 3)
        let first = GenerationRequest(id: "1", tokens: random.prompt(30), maxNewTokens: 25)
        let reply = try withStore { try #require(engine("qwen3", $0).results([first])["1"]).tokens }
        let second = GenerationRequest(id: "2", tokens: first.tokens + reply + random.prompt(4), maxNewTokens: 9)
        let result = try withStore { try #require(engine("qwen3", $0).results([second])["2"]) }
        #expect(result.reusedTokens.cold == 30 + 25 - 1)
        #expect(try engine("qwen3", nil).oneByOne([second])["2"] == result.tokens)
    }

    @Test("sees nothing of another model, another element type, another page size or another tenant")
    func otherSpaces() throws {
        var random = SplitMix64(seed: 8)
        let request = GenerationRequest(id: "a", tokens: random.prompt(40), maxNewTokens: 2)
        let salt = try Salt(Array(repeating: 7, count: 16))
        try withStore { store in
            _ = try engine("llama-bf16", store).results([request])
            let folder = Fixtures.checkpoint("llama-bf16")
            let others = [
                try engine("llama-linear", store), try engine("llama-bf16", store, salt: salt),
                try Engine(
                    checkpoint: try Checkpoint(folder: folder), options: EngineOptions(kvElement: .fp32, pageSize: 16),
                    store: store),
                try Engine(
                    checkpoint: try Checkpoint(folder: folder), options: EngineOptions(pageSize: 32), store: store),
            ]
            for other in others { #expect(other.results([request])["a"]?.reusedTokens.total == 0) }
            #expect(Set(others.map(\.space?.root)).count == others.count)
            #expect(try engine("llama-bf16", store).results([request])["a"]?.reusedTokens.total == 39)
        }
    }

    @Test("continues when the store fails, and says why")
    func closedStore() throws {
        let request = GenerationRequest(id: "a", tokens: [5, 6, 7, 8], maxNewTokens: 3)
        let expected = try engine("mistral", nil).oneByOne([request])
        let store = try Store(at: folder.path)
        let engine = try engine("mistral", store)
        try store.close()
        #expect(engine.results([request]).mapValues(\.tokens) == expected)
        #expect(engine.storeFailure == .closed)
    }
}
