// Uses, clocks that jump, and readers beside a writer.

import ColdTier
import KVFormat
import LMDB
import Synchronization
import Testing
import TestKit
import Threads

@Suite("Uses of a page")
struct UseTests {
    let folder: TemporaryFolder
    let model: Model

    init() throws {
        folder = try TemporaryFolder()
        model = try Model()
    }

    private func recency(_ hash: PrefixHash) throws -> RecencyRecord? {
        var record: RecencyRecord?
        try withTables(folder.store) { transaction, tables in record = try transaction.recency(hash, tables).record }
        return record
    }

    @Test("are buffered, and written at the close with the tokens they gave")
    func buffered() throws {
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        let path = model.path(tokens(8))
        _ = try tier.put(model.pages(tokens(8), now: 1000))
        let before = try tier.statistics.generation
        let last: Int64 = 451_000
        for time in Int64(1)...5 { tier.touch(path, now: 1000 + time * 90_000) }
        tier.touch([.sha256([99])], now: 5)
        #expect(try tier.statistics.generation == before)
        tier.close()
        let first = try #require(try recency(path[0]))
        #expect(first.uses == 6)
        #expect(first.use.last == last)
        #expect(first.use.branches == 0 && first.place == EvictionPlace(first.use))
        #expect(try recency(path[1])?.uses == 6)
        try withTables(folder.store) { transaction, tables in
            let space = try transaction.space(model.root, tables).record
            #expect(space?.hitTokens == 40)
            #expect(space?.lastUse == last)
            #expect(try transaction.entryCount(tables.queue) == 2)
        }
    }

    @Test("are worth what the engine would need instead, which the space remembers")
    func prefillTime() throws {
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        #expect(try tier.space(model.root)?.prefillNanoseconds == 0)
        try tier.setPrefillTime(nanosecondsPerToken: 70_000, of: model.root)
        tier.close()
        let again = try ColdTier(folder.store)
        #expect(try again.space(model.root)?.prefillNanoseconds == 70_000)
        let missing = PrefixHash.sha256([5])
        #expect(try again.space(missing) == nil)
        #expect(throws: StoreError.noSuchSpace(missing.short)) {
            try again.setPrefillTime(nanosecondsPerToken: 1, of: missing)
        }
    }

    @Test("of more pages than are kept are dropped and counted")
    func dropped() throws {
        let tier = try ColdTier(folder.store)
        let many = (0..<66_000).map { number in
            PrefixHash.sha256((0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
        }
        tier.touch(many, now: 5)
        #expect(try tier.statistics.droppedTouches == 66_000 - 65_536)
        try tier.flushTouches()
        let after = try tier.statistics.generation
        try tier.flushTouches()
        #expect(try tier.statistics.generation == after)
    }

    @Test("are written by a flush that ends, however fast other threads add more")
    func flushEnds() throws {
        let tier = try ColdTier(folder.store)
        let isDone = Atomic(false)
        let busy = try Thread {
            var number: UInt64 = 0
            while !isDone.load(ordering: .relaxed) {
                number += 1
                tier.touch([PrefixHash.sha256((0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })], now: 5)
            }
        }
        for _ in 0..<5 { try tier.flushTouches() }
        isDone.store(true, ordering: .relaxed)
        busy.join()
    }

    @Test("in the future count as uses now, and a clock that goes back does no harm")
    func clocks() throws {
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        let path = model.path(tokens(4))
        _ = try tier.put(model.pages(tokens(4), now: .max / 2))
        tier.touch(path, now: .max / 2)
        try tier.flushTouches()
        tier.touch(path, now: -5)
        tier.close()
        let record = try #require(try recency(path[0]))
        #expect(record.use.last <= SystemClock.wallMilliseconds())
        #expect(record.place.time <= SystemClock.wallMilliseconds())
        #expect(record.uses == 3)
    }

    @Test("from a clock that was years ahead do not keep a page for ever")
    func futureUses() throws {
        let model = try Model(pageSize: 16, width: 640)
        let old = tokens(32)
        do {
            let tier = try ColdTier(folder.store, quota: .mebibytes(4))
            try tier.open(space: model.descriptor)
            _ = try tier.put(model.pages(old))
            tier.close()
        }
        let years = SystemClock.wallMilliseconds() + 100 * PageUse.ceiling
        try withTables(folder.store) { transaction, tables in
            for hash in model.path(old) {
                let node = try #require(try transaction.node(hash, tables).record)
                let record = try #require(try transaction.recency(hash, tables).record)
                for entry in QueueKey.entries(of: hash, record, firstToken: node.firstToken) {
                    try transaction.erase(tables.queue, entry.encoded)
                }
                let ahead = RecencyRecord(lastUse: years)
                try transaction.write(tables.recency, hash.bytes, ahead.encoded(key: hash))
                for entry in QueueKey.entries(of: hash, ahead, firstToken: node.firstToken) {
                    try transaction.write(tables.queue, entry.encoded, [])
                }
            }
        }
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        // The old ones are taken for used at the first eviction: they go when all that was there by then has gone.
        var round: TokenID = 0
        while try tier.statistics.evictedPages < 300 {
            round += 1
            _ = try tier.put(model.pages(tokens(32, from: 1000 + 100 * round), now: SystemClock.wallMilliseconds()))
        }
        #expect(try model.match(old, in: tier).isEmpty)
    }
}

@Suite("Readers beside a writer")
struct ConcurrencyTests {
    @Test("get right bytes or a shorter match while pages come and go")
    func churn() throws {
        let folder = try TemporaryFolder()
        let model = try Model(pageSize: 16, width: 640)
        let tier = try ColdTier(folder.store, quota: .mebibytes(4))
        try tier.open(space: model.descriptor)
        let sequences = (0..<30).map { tokens(48, from: TokenID(1000 * $0)) }
        let isDone = Atomic<Bool>(false)
        let wrong = Atomic<Int>(0)
        let delivered = Atomic<Int>(0)
        let readers = try (0..<3).map { reader in
            try Thread {
                var generator = SplitMix64(seed: UInt64(reader))
                while !isDone.load(ordering: .relaxed) {
                    let sequence = sequences[Int.random(in: 0..<30, using: &generator)]
                    do throws(StoreError) {
                        guard let count = try model.load(sequence, from: tier) else {
                            wrong.add(1, ordering: .relaxed)
                            continue
                        }
                        tier.touch(model.path(Array(sequence.prefix(count))), now: 2000)
                        delivered.add(count, ordering: .relaxed)
                    } catch {
                        wrong.add(1, ordering: .relaxed)
                    }
                }
            }
        }
        for round in 0..<150 { _ = try tier.put(model.pages(sequences[round * 7 % 30], now: Int64(3000 + round))) }
        isDone.store(true, ordering: .relaxed)
        for reader in readers { reader.join() }
        #expect(wrong.load(ordering: .relaxed) == 0)
        #expect(delivered.load(ordering: .relaxed) > 0)
        #expect(tier.damagedPages == 0)
        #expect(try tier.statistics.evictedPages > 0)
    }
}
