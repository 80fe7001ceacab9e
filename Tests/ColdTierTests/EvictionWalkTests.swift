// The walk over the eviction order, when pages move in it.

import KVFormat
import LMDB
import Testing

@testable import ColdTier

@Suite("The walk over the eviction order")
struct EvictionWalkTests {
    @Test("meets pages again that it moved behind their children: everything can go that nothing holds")
    func moved() throws {
        let folder = try Folder()
        let model = try Model()
        let tier = try ColdTier(folder.store)
        try tier.open(space: model.descriptor)
        let chain = tokens(20)
        _ = try tier.put(model.pages(chain))
        // Only the last page is used again, so that all before it are worth less than it and must move behind it.
        let later = Int64(UseScore.halfLife) + 1_900_000_000_000
        tier.touch([try #require(model.path(chain).last)], now: later)
        try tier.flushTouches()
        // A page that is worth more than all of them, so that the walk's plan ends behind the places they move to.
        let other = tokens(4, from: 5_000)
        _ = try tier.put(model.pages(other))
        tier.touch(model.path(other), now: later + 10 * UseScore.halfLife)
        try tier.flushTouches()
        try tier.writing { (transaction, session) throws(LMDBError) in
            let isRoom = try session.makeRoom(for: Int(session.counters.quota), &transaction)
            #expect(isRoom && session.counters.pages == 0)
        }
        tier.close()
    }
}
