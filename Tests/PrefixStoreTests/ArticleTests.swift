// The code of the articles in PrefixStore.docc, and the examples of the options: tools/docs-check finds each of their
// blocks in this file.

import Foundation
import PrefixStore
import StoreTestKit
import TestKit
import Testing

@Suite("The code of the documentation")
struct ArticleTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    private let log = Log()
    private var path: String { folder.path("store") }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    @Test("in Embedding computes a prompt once, and loads all but its last token the next time")
    func embedding() throws {
        let store = try Store(at: path, options: StoreOptions(hotCapacity: .mebibytes(64)))
        let (weightFiles, tokenizerFiles) = (Array("weights".utf8), Array("tokenizer".utf8))
        let layout = try KVLayout(layers: 16, kvHeads: 8, headDimension: 64, element: .bf16, pageSize: 64)
        let identity = try ModelIdentity(
            weights: .sha256(weightFiles), layout: layout, positions: "rope theta=500000",
            tokenizer: .sha256(tokenizerFiles), engine: "my engine", engineFormat: 1, labels: ["model": "my model"])
        let space = try store.space(identity)
        let prompt = (0..<200).map { TokenID($0) }
        let reply = (0..<60).map { TokenID($0) }
        let engine = ExampleEngine(layout, tokens: 260)
        for expected in [0, 199] {
            let match = try space.match(prompt)
            let targets = (0..<match.pageCount).map { unsafe PageTarget(engine.page($0), capacity: layout.pageSize) }
            let loaded = try match.load(into: targets, limit: prompt.count - 1)
            engine.prefill(prompt, from: loaded.tokens)
            var place = try space.insert(prompt, after: loaded.place) {
                unsafe PageSource(engine.page($0), capacity: layout.pageSize)
            }.place
            #expect(loaded.tokens == expected)
            #expect(place.tokens == 192)
            place = try space.insert(prompt + reply, after: place) {
                unsafe PageSource(engine.page($0), capacity: layout.pageSize)
            }.place
            #expect(place.tokens == 256)
            let delivered = try match.load(
                into: targets, limit: prompt.count - 1, onLayersReady: { layers in engine.mayCompute(layers: layers) })
            #expect(delivered.tokens == expected)
        }
        #expect(engine.readyLayers == 16)
        do {
            try store.flush()
        } catch {
            log("\(error.code): \(error) \(error.remedy)")
        }
        #expect(log.lines == [])
        try store.close()
    }

    @Test("in Sharing opens a folder, hears of a lowered quota, and keeps tenants apart")
    func sharing() throws {
        do {
            let store = try Store(at: path, options: StoreOptions(hotCapacity: .mebibytes(64)))
            let tokens = (0..<20_000).map { TokenID($0) }
            try store.space(model.identity).insertGenerated(tokens, by: model)
            try store.close()
        }
        do {
            let store = try Store(at: path, options: StoreOptions(quota: .mebibytes(4)))
            if let notice = store.quotaNotice { log("\(notice)") }
            #expect(log.lines.count == 1)
            let secretOfTenant = Array("sixteen bytes or more".utf8)
            var identity = model.identity
            identity.salt = try Salt(secretOfTenant)
            let space = try store.space(identity)
            #expect(space.root != model.identity.spaceRoot)
            try store.close()
        }
        let engine = try Worker(["fill", path, "3"])
        defer { engine.kill() }
        #expect(engine.nextLine()?.hasPrefix("flushed") == true)
        let inspector = try StoreInspector(at: path)
        for opener in try inspector.info().openers where opener.role == .engine {
            log("\(opener.program) \(opener.processID) \(opener.isAlive ? "runs" : "ended without closing")")
        }
        #expect(log.lines.last?.hasPrefix("store-worker ") == true)
    }

    @Test("in Measuring reports prefills, loads what is worth it, and says in what two spaces differ")
    func measuring() throws {
        let identity = model.identity
        let prompt = (0..<70).map { TokenID($0) }
        let store = try Store(at: path, options: StoreOptions(hotCapacity: .mebibytes(64)))
        let space = try store.space(identity)
        try space.insertGenerated(prompt, by: model)
        let engine = ExampleEngine(space.layout, tokens: 70)
        let targets = (0..<5).map { unsafe PageTarget(engine.page($0), capacity: space.layout.pageSize) }
        let match = try space.match(prompt)
        let worth = match.tokensWorthLoading
        let loaded = try match.load(into: targets, limit: min(worth, prompt.count - 1))
        space.recordSkipped(tokens: match.tokenCount - worth)
        #expect(loaded.tokens == 69)
        let began = ContinuousClock.now
        engine.prefill(prompt, from: loaded.tokens)
        space.recordPrefill(tokens: prompt.count - loaded.tokens, time: ContinuousClock.now - began)
        #expect(space.prefillTimePerToken != nil)
        let statistics = store.statistics
        log("hit rate \(statistics.hitRate), \(statistics.loadedBytes) loaded in \(statistics.loadTime)")
        log("saved \(statistics.savedTime), dropped \(statistics.droppedPages), damaged \(statistics.damagedPages)")
        #expect(statistics.skippedTokens == 0 && statistics.hitRate > 0.98)
        let tenant = try GeneratedModel(salt: Salt(Array("sixteen bytes or more".utf8)))
        try store.space(tenant.identity).insertGenerated(prompt, by: tenant)
        try store.close()
        let inspector = try StoreInspector(at: path)
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        let json = try encoder.encode(inspector.info())
        #expect(String(decoding: json, as: UTF8.self).contains("\"used_bytes\":"))
        let mine = identity.descriptor
        for space in try inspector.spaces() where space.root != identity.spaceRoot {
            log("\(space.root.short) differs in \(mine.differences(from: space.descriptor))")
        }
        #expect(log.lines.last == "\(tenant.identity.spaceRoot.short) differs in [salt]")
    }

    @Test("of each option opens a store", arguments: examples.indices)
    func options(index: Int) throws {
        let store = try Store(at: path, options: Self.examples[index])
        #expect(store.options == Self.examples[index])
        try store.close()
    }

    /// The examples of `StoreOptions`.
    static let examples = [
        StoreOptions(quota: .gibibytes(50)),
        StoreOptions(hotCapacity: .gibibytes(8)),
        StoreOptions(writePolicy: .afterHits(2)),
        StoreOptions(codec: .auto),
        StoreOptions(queueCapacity: .gibibytes(1)),
        StoreOptions(whenQueueFull: .drop),
        StoreOptions(promotes: false),
        StoreOptions(spillRate: .mebibytes(200)),
        StoreOptions(sealingKey: key),
    ]
    private static let key = try? SealingKey(bytes: Array(1...32))
}

/// What an example says.
private final class Log: @unchecked Sendable {
    // Unchecked because a test calls it on its own thread only.
    private(set) var lines: [String] = []

    func callAsFunction(_ line: String) { lines.append(line) }
}

/// Memory for the pages of one prompt, and a prefill that fills it.
@safe
private final class ExampleEngine: @unchecked Sendable {
    // Unchecked because the store's threads call `mayCompute` alone, under a lock.
    private let layout: KVLayout
    private let memory: UnsafeMutableRawPointer
    private let ready = NSLock()
    private var layers = 0

    init(_ layout: KVLayout, tokens: Int) {
        self.layout = layout
        let size = (tokens + layout.pageSize - 1) / layout.pageSize * layout.bytesPerPage
        unsafe memory = .allocate(byteCount: size, alignment: 64)
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0, count: size)
    }

    deinit { unsafe memory.deallocate() }

    var readyLayers: Int { ready.withLock { layers } }

    func page(_ index: Int) -> UnsafeMutableRawPointer { unsafe memory + index * layout.bytesPerPage }

    func prefill(_ prompt: [TokenID], from first: Int) {
        for token in first..<prompt.count {
            let (page, slot) = token.quotientAndRemainder(dividingBy: layout.pageSize)
            unsafe self.page(page).storeBytes(
                of: UInt8(truncatingIfNeeded: prompt[token]), toByteOffset: slot, as: UInt8.self)
        }
    }

    func mayCompute(layers: Int) { ready.withLock { self.layers = max(self.layers, layers) } }
}
