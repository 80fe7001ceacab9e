// Loading large prefixes: on several threads, layer by layer, and cut short.

import PrefixStore
import StoreTestKit
import Testing
import TestKit
import Threads

@Suite("A load from disk")
struct LoadTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let tokens = (0..<600).map { TokenID($0) }

    init() throws {
        folder = try TemporaryFolder()
        // 16 layers in frames of several: 37 pages of 256 KiB and a tail.
        model = try GeneratedModel(
            layout: KVLayout(layers: 16, kvHeads: 4, headDimension: 64, element: .bf16, pageSize: 16))
        let store = try Store(
            at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .zero))
        try store.space(model.identity).insertGenerated(tokens, by: model)
        try store.close()
    }

    func open() throws -> Store {
        try Store(at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .zero))
    }

    @Test("delivers every byte to each of the threads that load at once")
    func parallel() throws {
        let store = try open()
        let space = try store.space(model.identity)
        let wrong = Guarded(0)
        let callers = try (0..<3).map { _ in
            try Thread { [tokens, model] in
                guard let read = try? space.loadGenerated(tokens, by: model) else { return wrong.withLock { $0 += 1 } }
                wrong.withLock { $0 += read.wrongBytes + (600 - read.loaded.tokensByTier.cold) }
            }
        }
        for caller in callers { caller.join() }
        #expect(wrong.withLock { $0 } == 0)
        try store.close()
    }

    @Test("leaves its pages in RAM, from where several threads deliver every byte too")
    func fromRAM() throws {
        let store = try Store(
            at: folder.path("store"),
            options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(32), promotes: true))
        let space = try store.space(model.identity)
        #expect(try space.loadGenerated(tokens, by: model).loaded.tokensByTier.cold == 600)
        store.finishPromotions()
        for _ in 0..<3 {
            let read = try space.loadGenerated(tokens, by: model)
            #expect(read.loaded.tokensByTier.hot == 600 && read.wrongBytes == 0)
        }
        try store.close()
    }

    @Test("reports its layers in rising order, the last of them last")
    func layers() throws {
        let store = try open()
        let space = try store.space(model.identity)
        let seen = Guarded<[Int]>([])
        let match = try space.match(tokens)
        try withTargets(match.pageCount) { targets in
            let loaded = try match.load(
                into: targets, onLayersReady: { layers in seen.withLock { $0.append(layers) } })
            #expect(loaded.tokens == 600)
        }
        let layers = seen.withLock { $0 }
        #expect(layers.contains(16))
        #expect(Set(layers).count == layers.count)
        try store.close()
    }

    @Test("ends early when it is cancelled, and says how far it came")
    func cancelled() throws {
        let store = try open()
        let space = try store.space(model.identity)
        let match = try space.match(tokens)
        try withTargets(match.pageCount) { targets in
            let cancelled = try match.load(into: targets, isCancelled: { true })
            let whole = try match.load(into: targets, isCancelled: { false })
            #expect(cancelled.tokens == 0 && whole.tokens == 600)
        }
        // Nothing was damaged by that.
        #expect(store.statistics.damagedPages == 0)
        try store.close()
    }

    private func withTargets(_ count: Int, _ body: ([PageTarget]) throws -> Void) throws {
        let size = model.layout.bytesPerPage
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count * size, alignment: 64)
        defer { unsafe memory.deallocate() }
        guard let base = memory.baseAddress else { return }
        try body((0..<count).map { unsafe PageTarget(base + $0 * size, capacity: model.layout.pageSize) })
    }
}
