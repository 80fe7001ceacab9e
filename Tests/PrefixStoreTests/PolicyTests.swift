// When pages reach the disk: the write policies, a small hot tier, a full queue.

import Glibc
import PrefixStore
import StoreTestKit
import Testing
import TestKit

@Suite("A write policy")
struct PolicyTests {
    let folder: TemporaryFolder
    let model: GeneratedModel

    init() throws {
        folder = try TemporaryFolder()
        model = try GeneratedModel()
    }

    func open(_ policy: WritePolicy, hot: ByteCount = .mebibytes(4)) throws -> Store {
        try Store(
            at: folder.path("store"),
            options: StoreOptions(quota: .mebibytes(64), hotCapacity: hot, writePolicy: policy))
    }

    /// Tokens of `tokens` that a new process finds on disk.
    func stored(_ tokens: [TokenID]) throws -> Int {
        let store = try open(.writeThrough, hot: .zero)
        let read = try store.space(model.identity).loadGenerated(tokens, by: model)
        #expect(read.wrongBytes == 0)
        try store.close()
        return read.loaded.tokensByTier.cold
    }

    let tokens = (0..<100).map { TokenID($0) }

    @Test("of write-through has every page on disk after a flush")
    func writeThrough() throws {
        let store = try open(.writeThrough)
        try store.space(model.identity).insertGenerated(tokens, by: model)
        try store.flush()
        #expect(store.statistics.spilledPages == 7)
        try store.close()
        #expect(try stored(tokens) == 100)
    }

    @Test("of write-back writes nothing before a flush or a close")
    func writeBack() throws {
        let store = try open(.writeBack)
        try store.space(model.identity).insertGenerated(tokens, by: model)
        // All records are in RAM after that, and would have been written.
        for _ in 0..<20_000 where store.statistics.hotBytes.value < 7 * 4096 { usleep(1000) }
        usleep(300_000)
        #expect(store.statistics.hotBytes.value >= 7 * 4096)
        #expect(store.statistics.spilledPages == 0)
        try store.close()
        #expect(store.statistics.spilledPages == 7)
        #expect(try stored(tokens) == 100)
    }

    @Test("of write-back writes what the hot tier evicts")
    func writeBackEvicts() throws {
        // Room for 8 of 7 + 7 pages.
        let store = try open(.writeBack, hot: ByteCount(UInt64(8 * model.layout.bytesPerPage)))
        let space = try store.space(model.identity)
        let others = tokens.map { $0 + 1000 }
        try space.insertGenerated(tokens, by: model)
        try space.insertGenerated(others, by: model)
        try store.close()
        #expect(try stored(tokens) == 100)
        #expect(try stored(others) == 100)
    }

    @Test("of after-two-hits writes a prefix when it is used again, and not before")
    func afterHits() throws {
        let store = try open(.afterHits(2))
        let space = try store.space(model.identity)
        let once = tokens.map { $0 + 1000 }
        try space.insertGenerated(tokens, by: model)
        try space.insertGenerated(once, by: model)
        for _ in 0..<2 { _ = try space.loadGenerated(tokens, by: model) }
        _ = try space.loadGenerated(once, by: model)
        try store.close()
        #expect(try stored(tokens) == 100)
        #expect(try stored(once) == 0)
    }

    @Test("of after-two-hits counts runs: the third of three processes with one prompt stores it, though killed")
    func afterHitsOfProcesses() throws {
        let path = folder.path("store")
        for expected in ["found 0", "found 0", "found 0", "found 100"] {
            let worker = try Worker(["again", path, "2", "4MiB"])
            #expect(worker.nextLine() == expected)
            worker.kill()
        }
        let inspector = try StoreInspector(at: path)
        #expect(try inspector.info().seenPages == 7)
        inspector.close()
    }

    @Test("of after-two-hits counts inserts without any hot tier")
    func afterHitsWithoutRAM() throws {
        for run in 0..<4 {
            let store = try open(.afterHits(2), hot: .zero)
            let space = try store.space(model.identity)
            #expect(try space.loadGenerated(tokens, by: model).loaded.tokens == (run < 3 ? 0 : 100), "run \(run)")
            try space.insertGenerated(tokens, by: model)
            try store.close()
        }
    }

    @Test("works without any hot tier: pages go to disk from a copy")
    func noHotTier() throws {
        let store = try open(.writeThrough, hot: .zero)
        let space = try store.space(model.identity)
        #expect(try space.insertGenerated(tokens, by: model) == 7)
        try store.flush()
        let read = try space.loadGenerated(tokens, by: model)
        #expect(read.loaded.tokensByTier == TokensByTier(cold: 100))
        #expect(read.wrongBytes == 0)
        #expect(try space.insertGenerated(tokens, by: model) == 0)
        try store.close()
    }

    @Test("drops pages and counts them when the queue is full and the policy is to drop")
    func drops() throws {
        let options = StoreOptions(
            quota: .mebibytes(64), hotCapacity: .mebibytes(4), queueCapacity: ByteCount(1), whenQueueFull: .drop)
        let store = try Store(at: folder.path("store"), options: options)
        let space = try store.space(model.identity)
        for start in 0..<40 { try space.insertGenerated(tokens.map { $0 + TokenID(200 * start) }, by: model) }
        try store.flush()
        let all = store.statistics
        #expect(all.insertedPages == 280)
        #expect(all.droppedPages > 0, "a queue of one page is full at once")
        #expect(all.spilledPages > 0)
        try store.close()
    }

    @Test("writes on flush and close what only RAM has, though the queue is small and the policy is to drop")
    func flushWaits() throws {
        let options = StoreOptions(
            quota: .mebibytes(64), hotCapacity: .mebibytes(4), writePolicy: .writeBack, queueCapacity: ByteCount(1),
            whenQueueFull: .drop)
        let store = try Store(at: folder.path("store"), options: options)
        let space = try store.space(model.identity)
        let sequences = (0..<20).map { start in tokens.map { $0 + TokenID(200 * start) } }
        for sequence in sequences[..<10] { try space.insertGenerated(sequence, by: model) }
        try store.flush()
        for sequence in sequences[10...] { try space.insertGenerated(sequence, by: model) }
        try store.close()
        let again = try Store(at: folder.path("store"))
        let found = try again.space(model.identity)
        for sequence in sequences { #expect(try found.match(sequence).tokenCount == sequence.count) }
        try again.close()
    }
}
