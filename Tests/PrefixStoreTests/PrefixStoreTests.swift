// The main path: insert, match, load, in one process and in the next.

import Foundation
import HotTier
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
        var options = StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(8), promotes: true)
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
        #expect(read.loaded.tokensByTier == TokensByTier(hot: 70, cold: 0))
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
        #expect(read.loaded.tokensByTier == TokensByTier(hot: 0, cold: 70))
        #expect(read.wrongBytes == 0)
        // Loaded once, the pages are soon in RAM.
        second.finishPromotions()
        #expect(try space.loadGenerated(tokens, by: model).loaded.tokensByTier.hot == 70)
        #expect(second.statistics.loadedTokens.cold == 70)
        #expect(second.statistics.loadedTokens.hot == 70)
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
        #expect(hot.loaded.tokensByTier.hot == common)
        #expect(hot.wrongBytes == 0)
        try first.close()
        let second = try open()
        let cold = try second.space(model.identity).loadGenerated(Array(asked), by: model)
        #expect(cold.loaded.tokensByTier == TokensByTier(hot: 0, cold: common))
        #expect(cold.wrongBytes == 0)
        try second.close()
    }

    @Test("continues in the cold tier where the hot tier ends")
    func bothTiers() throws {
        let long = Self.tokens(160)
        let first = try open()
        try first.space(model.identity).insertGenerated(long, by: model)
        try first.close()
        let second = try open()
        let space = try second.space(model.identity)
        _ = try space.loadGenerated(Array(long[..<48]), by: model)
        second.finishPromotions()
        let read = try space.loadGenerated(long, by: model)
        #expect(read.loaded.tokensByTier == TokensByTier(hot: 48, cold: 112))
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
        #expect(read.loaded.tokensByTier.cold == 30)
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
        #expect(match.tokenCount == 40 && match.pageCount == 3 && !match.isEmpty && match.tokensByTier.cold == 0)
        #expect(try match.load(into: [], limit: nil).tokens == 0)
        #expect(try match.load(into: [], limit: 0).tokens == 0)
        try store.close()
    }

    @Test("continues storing where a load or an insert ended, page by page")
    func places() throws {
        let store = try open()
        let space = try store.space(model.identity)
        let tokens = Self.tokens(70)
        #expect(try space.insertGenerated(Array(tokens[..<40]), by: model) == 3)
        let place = try space.loadGenerated(tokens, by: model).loaded.place
        #expect(place.tokens == 32)
        #expect(try space.insertGenerated(Array(tokens[..<48]), by: model, after: place) == 1)
        var next: SequencePlace? = place
        var asked: [Int] = []
        let memory = GeneratedMemory((0..<5).map { model.pageBytes(tokens, page: $0) })
        defer { memory.free() }
        for end in [48, 64, 70, 70] {
            next = try space.insert(tokens[..<end], after: next) { page in
                asked.append(page)
                return memory.source(page, bytesPerToken: space.layout.bytesPerToken)
            }.place
        }
        #expect(asked == [2, 3, 4, 4] && next?.tokens == 64)
        let read = try space.loadGenerated(tokens, by: model)
        #expect(read.loaded.tokens == 70 && read.wrongBytes == 0)
        try store.close()
    }

    @Test("refuses a place of another sequence, even of one that shares the page before it, and stores nothing")
    func strangePlace() throws {
        let store = try open()
        let space = try store.space(model.identity)
        let shared = Self.tokens(16, from: 500)
        let first = Self.tokens(16) + shared
        let second = Self.tokens(16, from: 100) + shared
        try space.insertGenerated(first, by: model)
        let place = try space.loadGenerated(first, by: model).loaded.place
        #expect(place.tokens == 32)
        let longer = second + Self.tokens(16, from: 900)
        #expect(throws: StoreError.invalidPages("the place lies in another sequence")) {
            try space.insertGenerated(longer, by: model, after: place)
        }
        #expect(try space.match(first + Self.tokens(16, from: 900)).tokenCount == 32)
        #expect(try space.match(longer).isEmpty)
        #expect(try space.insertGenerated(longer, by: model) == 3)
        try store.close()
    }

    @Test("loads whole pages of an opaque layout, whatever the limit")
    func opaqueLimit() throws {
        let opaque = try GeneratedModel("opaque", layout: .opaque(bytesPerPage: 4096, pageSize: 16))
        let store = try open()
        let space = try store.space(opaque.identity)
        let tokens = Self.tokens(48)
        try space.insertGenerated(tokens, by: opaque)
        let match = try space.match(tokens)
        let memory = GeneratedMemory((0..<3).map { _ in [UInt8](repeating: 0, count: 4096) })
        defer { memory.free() }
        let loaded = try match.load(into: (0..<3).map { memory.target($0, capacity: 16) }, limit: 47)
        #expect(loaded.tokens == 32 && loaded.place.tokens == 32)
        try store.close()
    }

    @Test("counts what it did, and what loading saved")
    func statistics() throws {
        let store = try open()
        let space = try store.space(model.identity)
        #expect(space.prefillTimePerToken == nil)
        space.recordPrefill(tokens: 10, time: .seconds(10))
        #expect(space.prefillTimePerToken == .seconds(1))
        let tokens = Self.tokens(32)
        _ = try space.loadGenerated(tokens, by: model)
        try space.insertGenerated(tokens, by: model)
        _ = try space.loadGenerated(tokens, by: model)
        try store.flush()
        let all = store.statistics
        #expect(all.matches == 2 && all.requestedTokens == 64 && all.loadedTokens == TokensByTier(hot: 32))
        #expect(all.hitRate == 0.5)
        #expect(all.insertedPages == 2 && all.spilledPages == 2)
        #expect(all.loadedBytes == ByteCount(UInt64(2 * model.layout.bytesPerPage)))
        #expect(all.savedTime > .seconds(31))
        #expect(
            all.spilledEncodedBytes > .zero && all.hotBytes > .zero && all.droppedPages == 0 && all.damagedPages == 0)
        try store.close()
    }

    @Test("keeps the quota of its folder when the opener names none")
    func quotaStays() throws {
        for quota in [ByteCount.mebibytes(64), nil, .gibibytes(200), nil] {
            let store = try open { $0.quota = quota }
            #expect(store.quotaNotice == nil)
            try store.close()
            let inspector = try StoreInspector(at: folder.path("store"))
            if let quota { #expect(try inspector.info().quotaBytes == quota) }
            #expect(try inspector.info().quotaBytes == store.quota)
            inspector.close()
        }
        let last = try open { $0.quota = nil }
        #expect(last.quota == .gibibytes(200))
        try last.close()
    }

    @Test("that is new gets 20 GiB or half of the free disk when the opener names no quota")
    func quotaOfNewStore() throws {
        let store = try Store(at: folder.path("new"))
        let attributes = try FileManager.default.attributesOfFileSystem(forPath: folder.path)
        let free = (attributes[.systemFreeSize] as? UInt64) ?? 0
        #expect(store.quota <= .gibibytes(20) && store.quota >= Limits.quota.lowerBound)
        // Others write to the disk meanwhile.
        if free > 41 << 30 { #expect(store.quota == .gibibytes(20)) }
        if free < 39 << 30 { #expect(store.quota.value <= free) }
        try store.close()
    }

    @Test("says what a quota below what is in use will evict, before anything is evicted")
    func loweredQuota() throws {
        let first = try open { $0.quota = .gibibytes(1) }
        let space = try first.space(model.identity)
        for number in 0..<600 { try space.insertGenerated(Self.tokens(70, from: TokenID(1000 * number)), by: model) }
        try first.close()
        let second = try open { $0.quota = .mebibytes(4) }
        let notice = try #require(second.quotaNotice)
        #expect(notice.previous == .gibibytes(1) && notice.quota == .mebibytes(4) && notice.pages == 3000)
        #expect(notice.usedBytes > notice.quota && notice.pagesToEvict > 0 && notice.pagesToEvict < 3000)
        #expect(notice.excessBytes.value == notice.usedBytes.value - notice.quota.value)
        #expect(notice.description.contains("\(notice.pagesToEvict) of 3000 pages"))
        try second.close()
        // The previous quota back, and nothing was lost.
        let third = try open { $0.quota = notice.previous }
        #expect(third.quotaNotice == nil)
        try third.close()
        let inspector = try StoreInspector(at: folder.path("store"))
        #expect(try inspector.info().pages == 3000)
        inspector.close()
    }

    @Test("has one bound for the hot tier's size, and makes no folder for what passes it")
    func hotBound() throws {
        let large = ByteCount(Limits.hotCapacity.upperBound.value + 1)
        let expected = StoreError.invalidOption("the hot capacity is 32 TiB; the limits are 0 B to 32 TiB")
        #expect(throws: expected) { try open { $0.hotCapacity = large } }
        #expect(!FileManager.default.fileExists(atPath: folder.path("store")))
        #expect(throws: expected) { try HotTier(capacity: large) }
        // What the one door takes, the other takes too.
        try open { $0.hotCapacity = .gibibytes(4097) }.close()
    }

    @Test("refuses calls that make no sense, by name")
    func refusals() throws {
        let store = try open()
        let space = try store.space(model.identity)
        #expect(throws: StoreError.invalidTokens(count: 0)) { _ = try space.match([]).tokenCount }
        #expect(throws: StoreError.self) {
            try Store(at: folder.path("x"), options: StoreOptions(quota: .kibibytes(1)))
        }
        #expect(throws: StoreError.self) { try open { $0.writePolicy = .afterHits(0) } }
        #expect(throws: StoreError.self) { try open { $0.spillRate = .zero } }
        let other = try store.space(GeneratedModel("another").identity)
        #expect(throws: StoreError.self) { try space.insertGenerated(Self.tokens(40), by: model, after: other.start) }
        let far = try space.loadGenerated(Self.tokens(40), by: model).loaded.place
        #expect(far.tokens == 0)
        #expect(throws: StoreError.alreadyOpen(path: folder.path("store"))) { _ = try open() }
        try store.close()
        try store.close()
        #expect(throws: StoreError.closed) { _ = try space.match([1]).tokenCount }
        #expect(throws: StoreError.closed) { try store.flush() }
    }
}
