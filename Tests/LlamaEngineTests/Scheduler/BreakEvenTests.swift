// The engine leaves on disk what it computes faster.

import Foundation
import Testing
import TestKit
import Threads

@testable import LlamaEngine
@testable import PrefixStore

@Suite("An engine with a slow disk")
final class BreakEvenTests {
    private let folder: TemporaryFolder
    private let request: GenerationRequest

    init() throws {
        folder = try TemporaryFolder()
        var random = SplitMix64(seed: 12)
        request = GenerationRequest(id: "a", tokens: random.prompt(100), maxNewTokens: 1)
    }

    private func withEngine(
        hotCapacity: ByteCount = .zero, _ body: (Engine, Store, Space) throws -> Void
    ) throws {
        let store = try Store(at: folder.path, options: StoreOptions(hotCapacity: hotCapacity))
        let engine = try Engine(
            checkpoint: try Checkpoint(folder: Fixtures.checkpoint("llama-bf16")), options: EngineOptions(pageSize: 16),
            store: store)
        try body(engine, store, try #require(engine.space))
        try store.close()
    }

    /// As if each token took ten seconds to load: far beyond any engine, however slow the machine that tests it.
    private func slowDown(_ space: Space) {
        space.state.loadRates.withLock { $0.cold = LoadRate(assuming: 1e10 / Double(space.layout.bytesPerToken)) }
    }

    private func reused(_ engine: Engine) throws -> ReusedTokens {
        try #require(engine.results([request])["a"]).reusedTokens
    }

    @Test("computes what is on disk, counts it, and gives the same reply")
    func skips() throws {
        var reply: [UInt32] = []
        try withEngine { engine, _, _ in reply = try #require(engine.results([request])["a"]).tokens }
        try withEngine { engine, store, space in
            #expect(space.prefillTimePerToken != nil)
            slowDown(space)
            let result = try #require(engine.results([request])["a"])
            #expect(result.tokens == reply)
            #expect(result.reusedTokens.total == 0)
            #expect(store.statistics.skippedTokens == 99)
            #expect(store.statistics.loadedTokens.cold == 0)
        }
    }

    @Test("loads one of eight all the same, and goes back to loading when the disk turns out fast")
    func trial() throws {
        try withEngine { engine, _, _ in _ = engine.results([request]) }
        try withEngine { engine, store, space in
            // Far from the measured rate: nothing about it depends on how fast this machine is.
            space.state.prefillNanosecondsPerToken.set(1_000_000_000)
            slowDown(space)
            let cold = try (0..<9).map { index in
                if index == 8 { space.state.prefillNanosecondsPerToken.set(1_000_000_000) }
                return try reused(engine).cold
            }
            #expect(cold == [0, 0, 0, 0, 0, 0, 0, 99, 99])
            #expect(store.statistics.skippedTokens == 7 * 99)
        }
    }

    @Test("takes from RAM what is there, and leaves the rest on disk")
    func hotPart() throws {
        try withEngine { engine, _, _ in _ = engine.results([request]) }
        try withEngine(hotCapacity: .mebibytes(64)) { engine, store, space in
            let half = GenerationRequest(id: "b", tokens: Array(request.tokens[..<49]), maxNewTokens: 1)
            #expect(engine.results([half])["b"]?.reusedTokens.cold == 48)
            slowDown(space)
            let reused = try reused(engine)
            #expect(reused.hot == 48 && reused.cold == 0)
            #expect(store.statistics.skippedTokens == 99 - 48)
        }
    }
}
