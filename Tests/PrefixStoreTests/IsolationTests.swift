// No page of another model, layout, page size or tenant is ever a hit.

import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("Spaces of one store")
struct IsolationTests {
    static let changes: [(String, @Sendable (inout ModelIdentity) throws -> Void)] = [
        ("weights", { $0.weights = .sha256([1]) }),
        ("dtype", { $0.layout = try KVLayout(layers: 3, kvHeads: 2, headDimension: 8, element: .fp16, pageSize: 16) }),
        (
            "page size",
            { $0.layout = try KVLayout(layers: 3, kvHeads: 2, headDimension: 8, element: .bf16, pageSize: 32) }
        ),
        ("salt", { $0.salt = try Salt([UInt8](repeating: 5, count: 16)) }),
        ("adapter", { $0.adapter = .sha256([2]) }),
        ("engine format", { $0.engineFormat = 2 }),
        ("shard", { $0.shard = Shard(tensorRank: 1, tensorSize: 2, pipelineRank: 0, pipelineSize: 1) }),
    ]

    @Test("never share pages when one field differs, hot or cold", arguments: changes.indices)
    func isolated(index: Int) throws {
        let folder = try TemporaryFolder()
        let model = try GeneratedModel()
        let tokens = (0..<80).map { TokenID($0) }
        var other = model.identity
        try Self.changes[index].1(&other)
        let store = try Store(
            at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(4)))
        try store.space(model.identity).insertGenerated(tokens, by: model)
        try store.flush()
        #expect(try store.space(other).match(tokens).tokenCount == 0)
        try store.close()
        let again = try Store(
            at: folder.path("store"), options: StoreOptions(quota: .mebibytes(64), hotCapacity: .mebibytes(4)))
        #expect(try again.space(other).match(tokens).tokenCount == 0)
        #expect(try again.space(model.identity).match(tokens).tokenCount == 80)
        try again.close()
    }
}

@Suite("A match")
struct MatchTests {
    @Test(
        "loads from its own space only, and leaves its pages in no other",
        arguments: [ByteCount.zero, .mebibytes(4)])
    func ownSpace(hotCapacity: ByteCount) throws {
        let folder = try TemporaryFolder()
        let tenants = try (0..<2).map { number in
            try GeneratedModel("shared", salt: Salt([UInt8](repeating: UInt8(number), count: 16)))
        }
        let tokens = (0..<80).map { TokenID($0) }
        let options = StoreOptions(quota: .mebibytes(64), hotCapacity: hotCapacity)
        let first = try Store(at: folder.path("store"), options: options)
        for tenant in tenants { try first.space(tenant.identity).insertGenerated(tokens, by: tenant) }
        try first.close()
        let store = try Store(at: folder.path("store"), options: options)
        let spaces = try tenants.map { try store.space($0.identity) }
        // Both matches at once, and the pages of each come from where its own match was made, from disk and from RAM.
        for _ in 0..<2 {
            for (space, tenant) in zip(spaces, tenants) {
                let read = try space.loadGenerated(tokens, by: tenant)
                #expect(read.loaded.tokens == 80 && read.wrongBytes == 0)
                #expect(read.loaded.place.tokens == 80)
            }
        }
        // The place behind one tenant's pages is no place of the other's.
        let place = try spaces[0].loadGenerated(tokens, by: tenants[0]).loaded.place
        #expect(throws: StoreError.self) { try spaces[1].insertGenerated(tokens, by: tenants[1], after: place) }
        try store.close()
    }
}

@Suite("Side states, pins and expiry")
struct PrefixPropertyTests {
    let folder: TemporaryFolder
    let model: GeneratedModel
    let store: Store
    let space: Space
    let tokens = (0..<40).map { TokenID($0) }

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
        store = try Store(at: folder.path("store"), options: StoreOptions(quota: .mebibytes(4), hotCapacity: .zero))
        space = try store.space(model.identity)
        try space.insertGenerated(tokens, by: model)
        try store.flush()
    }

    @Test("a side state comes back with the prefix it was stored with, and with no other")
    func sideState() throws {
        let state = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        try space.putSideState("window", unsafe state.span.bytes, after: tokens)
        #expect(try space.sideState("window", after: tokens) == state)
        #expect(try space.sideState("other", after: tokens) == nil)
        #expect(try space.sideState("window", after: Array(tokens[..<32])) == nil)
        #expect(try space.sideStateNames(after: tokens) == ["window"])
        #expect(throws: StoreError.self) { try space.putSideState("", unsafe state.span.bytes, after: tokens) }
        #expect(throws: StoreError.self) { try space.putSideState("a", unsafe state.span.bytes, after: [9, 9]) }
        try store.close()
    }

    @Test("a pinned prefix outlives a flood of others; an unpinned one does not")
    func pins() throws {
        try space.pin(tokens)
        try flood(from: 1_000)
        #expect(try space.match(tokens).tokenCount == 40)
        try space.unpin(tokens)
        try flood(from: 500_000)
        #expect(try space.match(tokens).tokenCount == 0)
        #expect(throws: StoreError.self) { try space.pin(tokens) }
        try store.close()
    }

    @Test("a flush says once that pinned pages leave no room for others, and no more once there is room")
    func fullOfPins() throws {
        // Without pins, what is longer than the quota is no error.
        let long = (0..<4_000).map { TokenID(2_000_000 + $0) }
        try space.insertGenerated(long, by: model)
        try store.flush()
        var pinned: [[TokenID]] = []
        for number in 0..<900 {
            let prefix = (0..<32).map { TokenID(5_000_000 + number * 100 + $0) }
            try space.insertGenerated(prefix, by: model)
            do throws(StoreError) {
                try store.flush()
                try space.pin(prefix)
            } catch {
                break
            }
            pinned.append(prefix)
        }
        try #require(pinned.count < 900)
        try space.insertGenerated((0..<32).map { TokenID(9_000_000 + $0) }, by: model)
        let refusal = #expect(throws: StoreError.self) { try store.flush() }
        #expect(refusal?.code == StoreError.quotaFull(quota: .zero).code)
        try store.flush()
        for prefix in pinned { try space.unpin(prefix) }
        let last = (0..<32).map { TokenID(9_500_000 + $0) }
        try space.insertGenerated(last, by: model)
        try store.flush()
        #expect(try space.match(last).tokenCount == 32)
        try store.close()
    }

    /// Inserts about twice the quota of prefixes, each used twice, so that they are worth more than what was used once.
    private func flood(from first: TokenID) throws {
        // More than the quota holds, all of it used later than what was there before.
        for number in 0..<900 {
            let other = (0..<32).map { first + TokenID(number * 100 + $0) }
            try space.insertGenerated(other, by: model)
            if number % 10 == 9 { try store.flush() }
        }
        try store.flush()
    }
}
