// The main path: insert, match, load, in one process and in the next.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A store")
struct StoreTests {
    let folder: TemporaryFolder
    let model: GeneratedModel

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    func open(_ change: (inout StoreOptions) -> Void = { _ in }) throws -> Store {
        var options = StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(8))
        change(&options)
        return try Store(at: folder.path("store"), options: options)
    }

    static func tokens(_ count: Int, from first: TokenID = 0) -> [TokenID] { (0..<count).map { first + TokenID($0) } }

    @Test("gives back from RAM what was inserted, the tail included")
    func hot() throws {
        let store = try open()
        let space = try store.space(model.identity)
        let tokens = Self.tokens(70)
        #expect(try space.insertGenerated(tokens, by: model) == 5)
        let read = try space.loadGenerated(tokens, by: model)
        #expect(read.loaded == Loaded(hotTokens: 70, coldTokens: 0))
        #expect(read.wrongBytes == 0)
        #expect(try space.insertGenerated(tokens, by: model) == 0)
        try store.close()
    }

    @Test("gives back from disk what another life of the process inserted")
    func cold() throws {
        let tokens = Self.tokens(70)
        let first = try open()
        try first.space(model.identity).insertGenerated(tokens, by: model)
        try first.close()
        let second = try open()
        let space = try second.space(model.identity)
        let read = try space.loadGenerated(tokens, by: model)
        #expect(read.loaded == Loaded(hotTokens: 0, coldTokens: 70))
        #expect(read.wrongBytes == 0)
        // Loaded once, the pages are in RAM.
        #expect(try space.loadGenerated(tokens, by: model).loaded.hotTokens == 70)
        #expect(second.statistics.coldTokens == 70)
        #expect(second.statistics.hotTokens == 70)
        try second.close()
    }

    @Test("matches token-exactly inside a page, from both tiers", arguments: [1, 15, 16, 17, 40, 69])
    func partial(common: Int) throws {
        let stored = Self.tokens(70)
        let asked = stored[..<common] + Self.tokens(30, from: 5000)
        let first = try open()
        let space = try first.space(model.identity)
        try space.insertGenerated(stored, by: model)
        let hot = try space.loadGenerated(Array(asked), by: model)
        #expect(hot.loaded.hotTokens == common)
        #expect(hot.wrongBytes == 0)
        try first.close()
        let second = try open()
        let cold = try second.space(model.identity).loadGenerated(Array(asked), by: model)
        #expect(cold.loaded == Loaded(hotTokens: 0, coldTokens: common))
        #expect(cold.wrongBytes == 0)
        try second.close()
    }

    @Test("goes on in the cold tier where the hot tier ends")
    func bothTiers() throws {
        let long = Self.tokens(160)
        let first = try open()
        try first.space(model.identity).insertGenerated(long, by: model)
        try first.close()
        let second = try open()
        let space = try second.space(model.identity)
        _ = try space.loadGenerated(Array(long[..<48]), by: model)
        let read = try space.loadGenerated(long, by: model)
        #expect(read.loaded == Loaded(hotTokens: 48, coldTokens: 112))
        #expect(read.wrongBytes == 0)
        try second.close()
    }

    @Test("replaces a tail by the longer page that begins like it")
    func tail() throws {
        let store = try open()
        let space = try store.space(model.identity)
        try space.insertGenerated(Self.tokens(20), by: model)
        try store.flush()
        try space.insertGenerated(Self.tokens(30), by: model)
        try store.close()
        let second = try open()
        let read = try second.space(model.identity).loadGenerated(Self.tokens(30), by: model)
        #expect(read.loaded.coldTokens == 30)
        #expect(read.wrongBytes == 0)
        try second.close()
    }

    @Test("loads no more than it is asked to")
    func limit() throws {
        let store = try open()
        let space = try store.space(model.identity)
        let tokens = Self.tokens(40)
        try space.insertGenerated(tokens, by: model)
        let match = try space.match(tokens)
        #expect(match.tokenCount == 40 && match.pageCount == 3 && !match.isEmpty && match.coldTokens == 0)
        #expect(try space.load(match, into: [], limit: nil).tokens == 0)
        #expect(try space.load(match, into: [], limit: 0).tokens == 0)
        try store.close()
    }

    @Test("counts what it did, and what loading saved")
    func statistics() throws {
        let store = try open()
        let space = try store.space(model.identity)
        #expect(space.prefillTimePerToken == nil)
        space.recordPrefill(tokens: 10, nanoseconds: 10_000_000_000)
        #expect(space.prefillTimePerToken == 1_000_000_000)
        let tokens = Self.tokens(32)
        _ = try space.loadGenerated(tokens, by: model)
        try space.insertGenerated(tokens, by: model)
        _ = try space.loadGenerated(tokens, by: model)
        try store.flush()
        let all = store.statistics
        #expect(all.matches == 2 && all.requestedTokens == 64 && all.hotTokens == 32 && all.coldTokens == 0)
        #expect(all.hitRate == 0.5)
        #expect(all.insertedPages == 2 && all.spilledPages == 2)
        #expect(all.loadedBytes == UInt64(2 * model.layout.bytesPerPage))
        #expect(all.savedNanoseconds > 31_000_000_000)
        #expect(all.storedBytes > 0 && all.hotBytes > 0 && all.droppedPages == 0 && all.damagedPages == 0)
        try store.close()
    }

    @Test("refuses calls that make no sense, by name")
    func refusals() throws {
        let store = try open()
        let space = try store.space(model.identity)
        #expect(throws: StoreError.invalidTokens(count: 0)) { _ = try space.match([]).tokenCount }
        #expect(throws: StoreError.self) { try space.insert(Self.tokens(40), fromPage: 0, pages: []) }
        #expect(throws: StoreError.self) {
            try Store(at: folder.path("x"), options: StoreOptions(quota: .kibibytes(1)))
        }
        #expect(throws: StoreError.self) { try open { $0.writePolicy = .afterHits(0) } }
        #expect(throws: StoreError.self) { try open { $0.spillRate = .zero } }
        #expect(throws: StoreError.alreadyOpen(path: folder.path("store"))) { _ = try open() }
        try store.close()
        try store.close()
        #expect(throws: StoreError.closed) { _ = try space.match([1]).tokenCount }
        #expect(throws: StoreError.closed) { try store.flush() }
    }
}
