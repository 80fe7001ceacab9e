// The walk over the eviction order, when pages move in it.

import KVFormat
import LMDB
import Testing
import TestKit

@testable import ColdTier

@Suite("The walk over the eviction order")
struct EvictionWalkTests {
    let folder: TemporaryFolder
    let model: Model
    let tier: ColdTier

    init() throws {
        folder = try TemporaryFolder()
        model = try Model()
        tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
    }

    @Test("meets pages again that it moved behind their children: everything can go that nothing holds")
    func moved() throws {
        let chain = tokens(20)
        _ = try tier.put(model.pages(chain))
        // Only the last page is used again, so that all before it are worth less than it and must move behind it.
        let later = 1_900_000_600_000 as Int64
        tier.touch([try #require(model.path(chain).last)], now: later)
        try tier.flushTouches()
        // A page that is worth more than all of them, so that the walk's plan ends behind the places they move to.
        let other = tokens(4, from: 5_000)
        _ = try tier.put(model.pages(other))
        tier.touch(model.path(other), now: later + 6_000_000)
        try tier.flushTouches()
        try tier.writing { (transaction, session) throws(LMDBError) in
            let isRoom = try session.makeRoom(for: Int(session.counters.quota), &transaction)
            #expect(isRoom && session.counters.pages == 0)
        }
        tier.close()
    }

    @Test("deletes invalid keys, and starts again when what was learned is damaged")
    func damaged() throws {
        _ = try tier.put(model.pages(tokens(20)))
        try tier.writing { (transaction, session) throws(LMDBError) in
            try transaction.write(tier.tables.queue, [3, 1, 4], [])
            try transaction.write(tier.tables.meta, MetaKey.history, [1, 5, 9])
        }
        try tier.writing { (transaction, session) throws(LMDBError) in
            let isRoom = try session.makeRoom(for: Int(session.counters.quota), &transaction)
            #expect(isRoom && session.counters.pages == 0)
        }
        try tier.writing { (transaction, session) throws(LMDBError) in
            #expect(try transaction.entryCount(tier.tables.queue) == 0)
            let bytes = try transaction.valueBytes(tier.tables.meta, MetaKey.history)
            #expect(bytes == HistoryRecord.byteCount)
        }
        tier.close()
    }

    @Test("begins with what a match reports: where a request goes another way than those before it")
    func branchPoints() throws {
        let path = tokens(12)
        _ = try tier.put(model.pages(path))
        func isBranch(_ tokens: [TokenID]) throws -> Bool? {
            try model.match(tokens, in: tier).last?.isBranchPoint
        }
        #expect(try isBranch(path) == false)
        #expect(try isBranch(path + [90, 91, 92, 93]) == false)
        #expect(try isBranch(Array(path.prefix(6))) == false)
        #expect(try isBranch(Array(path.prefix(4)) + [90, 91, 92, 93]) == true)
        #expect(try isBranch(Array(path.prefix(6)) + [90, 91]) == true)
        tier.touch(model.path(path), now: 2000, as: .branch)
        tier.touch(model.path(path), now: 3000, as: .match)
        tier.touch(model.path(path), now: 4000, as: .insert)
        try tier.flushTouches()
        let page = try tier.page(model.path(path)[0])
        #expect(page.branches == 1 && page.hits == 3 && page.lastUse.milliseconds >= 4000)
        tier.close()
    }
}
