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
