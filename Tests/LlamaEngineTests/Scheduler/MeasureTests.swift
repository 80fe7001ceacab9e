import Foundation
import PrefixStore
import Testing
import TestKit

@testable import LlamaEngine

@Suite("Measuring the prefill rate")
final class MeasureTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("gives a time, stores nothing, keeps no page and changes no reply")
    func measures() throws {
        let store = try Store(at: folder.path)
        let checkpoint = try Checkpoint(folder: Fixtures.checkpoint("llama-bf16"))
        let engine = try Engine(checkpoint: checkpoint, options: EngineOptions(pageSize: 16), store: store)
        let free = engine.pool.freeCount
        let seconds = try #require(engine.measurePrefill())
        #expect(seconds > 0)
        #expect(engine.pool.freeCount == free)
        #expect(store.statistics.insertedPages == 0)
        let requests = groupedRequests(6, seed: 9)
        let without = try Engine(checkpoint: checkpoint, options: EngineOptions(pageSize: 16)).oneByOne(requests)
        #expect(engine.results(requests).mapValues(\.tokens) == without)
        try store.close()
    }

    @Test("gives nothing when the engine's memory is too small for it, and takes none of it")
    func noMemory() throws {
        let checkpoint = try Checkpoint(folder: Fixtures.checkpoint("llama-bf16"))
        let page = try Engine(checkpoint: checkpoint, options: EngineOptions(pageSize: 16)).layout.bytesPerPage
        let engine = try Engine(checkpoint: checkpoint, options: EngineOptions(pageSize: 16, kvMemory: 2 * page))
        #expect(engine.measurePrefill() == nil)
        #expect(engine.pool.freeCount == 2)
    }
}
