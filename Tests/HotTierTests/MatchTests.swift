import KVFormat
import Testing

@testable import HotTier

@Suite("A match in RAM")
struct MatchTests {
    @Test("of an empty space is empty")
    func empty() throws {
        let fixture = try Fixture(pages: 4)
        #expect(fixture.look(at: fixture.space.match([1, 2, 3, 4], now: 0), [1, 2, 3, 4]) == Sight())
        #expect(fixture.tier.statistics.pinnedPages == 0)
    }

    @Test("finds whole pages and the tail behind them")
    func wholePagesAndTail() throws {
        let fixture = try Fixture(pages: 8)
        let tokens: [TokenID] = Array(1...10)
        #expect(fixture.insert(tokens) == [.inserted, .inserted, .inserted])
        let sight = fixture.look(at: fixture.space.match(tokens + [11, 12, 13], now: 5), tokens)
        #expect(
            sight
                == Sight(
                    tokenCount: 10, isEmpty: false, hashes: fixture.hashes(tokens), stored: [4, 4, 2],
                    matched: [4, 4, 2], isOnDisk: [true, true, true]))
    }

    @Test("takes the first tokens of a page that is shared in part", arguments: 1...3)
    func partOfAPage(shared: Int) throws {
        let fixture = try Fixture(pages: 8)
        let tokens: [TokenID] = Array(1...12)
        fixture.insert(tokens)
        let query = Array(tokens.prefix(4 + shared)) + [99, 98, 97, 96]
        let sight = fixture.look(at: fixture.space.match(query, now: 0), query)
        #expect(sight.tokenCount == 4 + shared)
        #expect(sight.stored == [4, 4])
        #expect(sight.matched == [4, shared])
        #expect(sight.hashes == Array(fixture.hashes(tokens).prefix(2)))
        #expect(sight.wrongPages == [])
    }

    @Test("takes the page with the longest common run of many")
    func longestCommonRun() throws {
        let fixture = try Fixture(pages: 300)
        for last in TokenID(0)..<250 { fixture.insert([7, last / 16, last % 16, 5]) }
        #expect(fixture.matched([7, 3, 9, 6]) == 3)
        #expect(fixture.matched([7, 3, 99]) == 2)
        #expect(fixture.matched([7, 99]) == 1)
        #expect(fixture.matched([8, 3, 9, 5]) == 0)
        for last in TokenID(0)..<250 { #expect(fixture.matched([7, last / 16, last % 16, 5, 1]) == 4) }
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("ends where the given tokens end, inside of a page too")
    func shortQuery() throws {
        let fixture = try Fixture(pages: 4)
        fixture.insert(Array(1...8))
        for count in 0...8 { #expect(fixture.matched(Array(1...8).prefix(count).map { $0 }) == count) }
    }

    @Test("accepts a slice that does not begin at zero")
    func slice() throws {
        let fixture = try Fixture(pages: 4)
        fixture.insert(Array(1...8))
        let padded: [TokenID] = [50, 60] + Array(1...8)
        #expect(fixture.look(at: fixture.space.match(padded[2...], now: 0), Array(1...8)).tokenCount == 8)
    }

    @Test("never crosses into another space")
    func spacesAreApart() throws {
        let fixture = try Fixture(pages: 8)
        let other = try Fixture(in: fixture.tier, name: "another space")
        fixture.insert(Array(1...8))
        #expect(other.matched(Array(1...8)) == 0)
        other.insert(Array(1...4))
        #expect(other.matched(Array(1...8)) == 4)
        #expect(fixture.matched(Array(1...8)) == 8)
    }

    @Test("gives whole pages only when the layout is opaque")
    func opaque() throws {
        let tier = try HotTier(capacity: .mebibytes(1))
        let fixture = try Fixture(in: tier, layout: .opaque(bytesPerPage: 64, pageSize: 4))
        fixture.insert(Array(1...8))
        #expect(fixture.matched([1, 2, 3, 4, 5, 6, 99]) == 4)
        #expect(fixture.matched([1, 2, 3]) == 0)
        #expect(fixture.matched(Array(1...9)) == 8)
    }

    @Test("says which of its pages are on disk, and is counted")
    func counts() throws {
        let fixture = try Fixture(pages: 4)
        fixture.insert(Array(1...4))
        fixture.insert(Array(1...8), from: 1, isStored: false)
        #expect(fixture.matched(Array(1...4)) == 4)
        let match = fixture.space.match(Array(1...8), now: 0)
        #expect(fixture.look(at: match, Array(1...8)).isOnDisk == [true, false])
        let statistics = fixture.tier.statistics
        #expect(statistics.matches == 2)
        #expect(statistics.matchedPages == 3)
        #expect(statistics.matchedTokens == 12)
    }

    @Test("offers the record where it lies, without a copy")
    func record() throws {
        let fixture = try Fixture(pages: 4)
        let tokens: [TokenID] = Array(1...6)
        fixture.insert(tokens)
        let match = fixture.space.match(tokens, now: 0)
        guard case .record(let record) = match.content(of: 1) else {
            Issue.record("the page has no record")
            return
        }
        #expect(unsafe record.bytes.withUnsafeBytes { unsafe Array($0) } == fixture.bytes(tokens, from: 4, count: 2))
        match.release()
        #expect(fixture.tier.statistics.pinnedPages == 0)
    }
}
