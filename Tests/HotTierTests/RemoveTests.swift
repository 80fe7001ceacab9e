// Pages that leave RAM before their turn: removed, or past their date.

import KVFormat
import Testing

@testable import HotTier

@Suite("Removal from RAM")
struct RemoveTests {
    @Test("takes a page and everything behind it")
    func subtree() throws {
        let fixture = try Fixture(pages: 16)
        fixture.insert(Array(1...12))
        fixture.insert(Array(1...4) + Array(50...57))
        #expect(fixture.tier.statistics.pages == 5)
        #expect(fixture.tier.remove(fixture.hashes(Array(1...12))[1]) == 2)
        #expect(fixture.matched(Array(1...12)) == 4)
        #expect(fixture.matched(Array(1...4) + Array(50...57)) == 12)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("leaves pinned pages and those before them")
    func pinned() throws {
        let fixture = try Fixture(pages: 16)
        fixture.insert(Array(1...12))
        fixture.insert(Array(1...4) + Array(50...57))
        let match = fixture.space.match(Array(1...8), now: 0)
        #expect(fixture.tier.remove(fixture.hashes(Array(1...4))[0]) == 3)
        let sight = fixture.look(at: match, Array(1...8))
        #expect(sight.tokenCount == 8)
        #expect(sight.wrongPages == [])
        match.release()
        #expect(fixture.tier.removeAll() == 2)
        #expect(fixture.tier.statistics.pages == 0)
        #expect(fixture.tier.statistics.removed == 5)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("of what is not there does nothing")
    func absent() throws {
        let fixture = try Fixture(pages: 2)
        fixture.insert([1, 2, 3, 4])
        #expect(fixture.tier.remove(.sha256([])) == 0)
        #expect(fixture.tier.remove(fixture.root) == 0)
        #expect(fixture.tier.statistics.pages == 1)
    }
}

@Suite("A date in RAM")
struct ExpiryTests {
    let long: [TokenID] = Array(1...12)

    @Test("makes a page and all behind it a miss, and the next match takes them out")
    func passes() throws {
        let fixture = try Fixture(pages: 16)
        fixture.insert(long)
        fixture.tier.setExpiry([fixture.hashes(long)[1]: 100, .sha256([]): 100])
        #expect(fixture.matched(long, now: 99) == 12)
        #expect(fixture.tier.statistics.pages == 3)
        #expect(fixture.matched(long, now: 100) == 4)
        #expect(fixture.tier.statistics.pages == 1)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("comes with a page from disk, and can be taken off")
    func promoted() throws {
        let fixture = try Fixture(pages: 16)
        fixture.insert(long, page: 0, expiry: 50)
        fixture.insert(long, page: 1, expiry: 60)
        fixture.tier.setExpiry([fixture.hashes(long)[0]: 0])
        #expect(fixture.matched(long, now: 59) == 8)
        #expect(fixture.matched(long, now: 60) == 4)
    }

    @Test("that has passed lets a sibling share what it can, and lets the same page be inserted again")
    func givesWay() throws {
        let fixture = try Fixture(pages: 16)
        fixture.insert([1, 2, 3, 4])
        fixture.insert([1, 2, 9, 9])
        fixture.tier.setExpiry([fixture.hashes([1, 2, 3, 4])[0]: 10])
        #expect(fixture.matched([1, 2, 3, 4], now: 10) == 2)
        #expect(fixture.insert([1, 2, 3, 4], now: 11) == [.inserted])
        #expect(fixture.matched([1, 2, 3, 4], now: 1000) == 4)
        // Without a match between.
        fixture.tier.setExpiry([fixture.hashes([1, 2, 3, 4])[0]: 20])
        #expect(fixture.insert([1, 2, 3, 4], now: 21) == [.inserted])
        #expect(fixture.matched([1, 2, 3, 4], now: 1000) == 4)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("that has passed is a miss also while somebody reads the page, whose bytes stay as they are")
    func leased() throws {
        let fixture = try Fixture(pages: 16)
        fixture.insert(long)
        let match = fixture.space.match(Array(1...8), now: 0)
        fixture.tier.setExpiry([fixture.hashes(long)[0]: 10])
        #expect(fixture.matched(long, now: 10) == 0)
        #expect(fixture.look(at: match, Array(1...8)).wrongPages == [])
        match.release()
        #expect(fixture.matched(long, now: 10) == 0)
        #expect(fixture.tier.statistics.pages == 0)
        #expect(fixture.tier.checkInvariants() == [])
    }
}
