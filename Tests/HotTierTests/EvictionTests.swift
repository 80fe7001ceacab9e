import KVFormat
import Testing
import Threads

@testable import HotTier

@Suite("Eviction")
struct EvictionTests {
    @Test("takes the leaf that was used least, and never an inner page")
    func leafFirst() throws {
        let fixture = try Fixture(pages: 4)
        fixture.insert(Array(1...12), now: 0)
        fixture.insert([50, 51, 52, 53], now: 1_000)
        #expect(fixture.insert([60, 61, 62, 63], now: 2_000) == [.inserted])
        #expect(fixture.matched(Array(1...12), now: 2_001) == 8)
        #expect(fixture.matched([50, 51, 52, 53], now: 2_002) == 4)
        #expect(fixture.tier.statistics.evicted == 1)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("learns that shared beginnings come back and single requests do not, and spares the shared")
    func learned() throws {
        let fixture = try Fixture(pages: 8)
        let shared: [TokenID] = [1, 1, 1, 1]
        fixture.insert(shared, now: 0)
        var now: Int64 = 0
        // Every ten seconds a request for the same beginning, between four that are never seen again.
        for round in TokenID(1)..<60 {
            now += 10_000
            let request = shared + [round, 0, 0, 0]
            _ = fixture.matched(request, now: now)
            fixture.insert(request, now: now)
            for single in TokenID(0)..<4 { fixture.insert([100 + round, single, 0, 0], now: now + 1 + Int64(single)) }
        }
        // Now it stays away for a time in which the tier is filled three times over.
        for single in TokenID(0)..<24 {
            now += 1_000
            #expect(fixture.insert([200, single, 0, 0], now: now) == [.inserted])
        }
        #expect(fixture.matched(shared, now: now) == 4)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("distinguishes a request that branches off from one that continues")
    func branches() throws {
        let fixture = try Fixture(pages: 8)
        func use(_ tokens: [TokenID]) -> PathUse { fixture.space.match(tokens, now: 5).use }
        fixture.insert(Array(1...8), now: 0)
        #expect(use(Array(1...12)) == .match)
        #expect(use(Array(1...8)) == .match)
        #expect(use([1, 2, 3, 4, 9, 9, 9, 9]) == .branch)
        #expect(use([1, 2, 3, 4, 5, 6, 9, 9]) == .branch)
        #expect(use([1, 2]) == .match)
        #expect(use([7]) == .match)
    }

    @Test("goes across the spaces of the tier")
    func acrossSpaces() throws {
        let fixture = try Fixture(pages: 2)
        let other = try Fixture(in: fixture.tier, name: "another space")
        fixture.insert([1, 2, 3, 4], now: 0)
        other.insert([1, 2, 3, 4], now: 10)
        other.insert([5, 6, 7, 8], now: 20)
        #expect(fixture.matched([1, 2, 3, 4]) == 0)
        #expect(other.matched([1, 2, 3, 4]) == 4)
    }

    @Test("leaves leased pages and those before them, and refuses the insert instead")
    func leased() throws {
        let fixture = try Fixture(pages: 2)
        fixture.insert(Array(1...8), now: 0)
        do {
            let match = fixture.space.match(Array(1...8), now: 1)
            #expect(fixture.tier.statistics.pinnedPages == 1)
            #expect(fixture.insert([9, 9, 9, 9], now: 2) == [.noRoom])
            let sight = fixture.look(at: match, Array(1...8))
            #expect(sight.tokenCount == 8)
            #expect(sight.wrongPages == [])
        }
        #expect(fixture.tier.statistics.pinnedPages == 0)
        #expect(fixture.insert([9, 9, 9, 9], now: 2) == [.inserted])
        #expect(fixture.matched(Array(1...8), now: 3) == 4)
    }

    @Test("never takes the page behind which the insert goes")
    func parentStays() throws {
        let fixture = try Fixture(pages: 2)
        #expect(fixture.insert(Array(1...12), now: 0) == [.inserted, .inserted, .noRoom])
        #expect(fixture.matched(Array(1...12)) == 8)
        #expect(fixture.tier.statistics.pinnedPages == 0)
    }

    @Test("prefers a stored page to one of about the same use that would have to be written first")
    func storedFirst() throws {
        let fixture = try Fixture(pages: 2)
        fixture.insert([1, 1, 1, 1], now: 0, isStored: false)
        fixture.insert([2, 2, 2, 2], now: 1_000, isStored: true)
        fixture.insert([3, 3, 3, 3], now: 2_000, isStored: true)
        #expect(fixture.matched([1, 1, 1, 1], now: 3_000) == 4)
        #expect(fixture.matched([2, 2, 2, 2], now: 3_000) == 0)
    }

    @Test("drops a page that nobody stored when there is no spill closure, and counts it")
    func unstored() throws {
        let fixture = try Fixture(pages: 1)
        fixture.insert([1, 1, 1, 1], isStored: false)
        fixture.insert([2, 2, 2, 2], isStored: false)
        #expect(fixture.tier.statistics.evicted == 1)
        #expect(fixture.tier.statistics.evictedUnstored == 1)
    }
}

@Suite("The budget")
struct BudgetTests {
    @Test("is shared by pages of different sizes, whose free memory goes back to the system")
    func differentSizes() throws {
        let tier = try HotTier(capacity: ByteCount(UInt64(8 * Fixture.seatBytes)))
        let small = try Fixture(in: tier)
        // 64 tokens of 96 bytes: two seats' worth.
        let large = try Fixture(in: tier, name: "large", layout: Fixture.layout(pageSize: 64))
        for run in TokenID(0)..<8 { small.insert([run, 0, 0, 0], now: Int64(run)) }
        #expect(tier.statistics.residentBytes == tier.statistics.capacity)
        #expect(large.insert(Array(1...64), now: 100) == [.inserted])
        #expect(tier.statistics.pages == 7)
        #expect(tier.statistics.residentBytes <= tier.statistics.capacity)
        #expect(large.matched(Array(1...64)) == 64)
        for run in TokenID(0)..<8 { small.insert([run, 1, 0, 0], now: 1_200_000 + Int64(run)) }
        #expect(tier.statistics.pages == 8)
        #expect(large.matched(Array(1...64)) == 0)
        for run in TokenID(0)..<8 { #expect(small.matched([run, 1, 0, 0]) == 4) }
        #expect(tier.checkInvariants() == [])
    }

    @Test("is shared by spaces with the same page, which share seats as well")
    func samePool() throws {
        let tier = try HotTier(capacity: ByteCount(UInt64(2 * Fixture.seatBytes)))
        let (left, right) = (try Fixture(in: tier, name: "left"), try Fixture(in: tier, name: "right"))
        left.insert(Array(1...8))
        right.insert(Array(1...8))
        #expect(tier.statistics.usedBytes == tier.statistics.capacity)
        #expect(tier.state.withLock { $0.arena.pools.count } == 1)
    }

    @Test("counts memory that is free in a pool until it is given back")
    func freeMemoryCounts() throws {
        let fixture = try Fixture(pages: 4)
        fixture.insert(Array(1...16))
        #expect(fixture.tier.removeAll() == 4)
        let statistics = fixture.tier.statistics
        #expect(statistics.usedBytes == .zero)
        #expect(statistics.residentBytes == statistics.capacity)
        #expect(statistics.indexBytes > .zero)
    }
}
