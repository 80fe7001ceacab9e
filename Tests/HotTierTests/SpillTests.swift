import KVFormat
import Testing
import Threads

@testable import HotTier

/// What a spill closure was given, and what it answers.
private final class Spills: Sendable {
    private let pins = Guarded<[HotPin]>([])
    private let offers = Guarded<[PrefixHash]>([])

    /// Answers with "taken over", and keeps the pin.
    func keep(_ pin: HotPin) -> Bool {
        offers.withLock { $0.append(pin.hash) }
        pins.withLock { $0.append(pin) }
        return true
    }

    /// Answers with "drop it".
    func refuse(_ pin: HotPin) -> Bool {
        offers.withLock { $0.append(pin.hash) }
        return false
    }

    var offered: [PrefixHash] { offers.withLock { $0 } }

    func takeAll() -> [HotPin] {
        pins.withLock { pins in
            defer { pins = [] }
            return pins
        }
    }
}

@Suite("Spilling")
struct SpillTests {
    @Test("offers a page that is not stored before it goes, and takes another when it was taken over")
    func takenOver() throws {
        let spills = Spills()
        let fixture = try Fixture(pages: 2) { spills.keep($0) }
        fixture.insert([1, 1, 1, 1], now: 0, isStored: false)
        fixture.insert([2, 2, 2, 2], now: 2 * EvictionOrder.unstoredCredit, isStored: true)
        #expect(fixture.insert([3, 3, 3, 3], now: 3 * EvictionOrder.unstoredCredit) == [.inserted])
        #expect(spills.offered == fixture.hashes([1, 1, 1, 1]))
        #expect(fixture.matched([1, 1, 1, 1]) == 4)
        #expect(fixture.matched([2, 2, 2, 2]) == 0)
        #expect(fixture.tier.statistics.handedOver == 1)
        let pins = spills.takeAll()
        #expect(pins.map(\.tokens) == [[1, 1, 1, 1]])
        #expect(fixture.bytes(of: pins[0]) == fixture.bytes([1, 1, 1, 1], from: 0, count: 4))
        fixture.tier.markStored(pins[0].hash)
        pins[0].release()
        #expect(fixture.tier.checkInvariants() == [])
        #expect(fixture.tier.statistics.pinnedPages == 0)
    }

    @Test("drops a page that the closure refuses, without asking twice")
    func refused() throws {
        let spills = Spills()
        let fixture = try Fixture(pages: 1) { spills.refuse($0) }
        fixture.insert([1, 1, 1, 1], isStored: false)
        #expect(fixture.insert([2, 2, 2, 2]) == [.inserted])
        #expect(spills.offered == fixture.hashes([1, 1, 1, 1]))
        #expect(fixture.tier.statistics.evictedUnstored == 1)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("evicts a page at once when the closure has stored it before it returns")
    func storedAtOnce() throws {
        let tiers = TierBox()
        let fixture = try Fixture(pages: 1) { pin in
            tiers.markStored(pin.hash)
            return true
        }
        tiers.set(fixture.tier)
        fixture.insert([1, 1, 1, 1], isStored: false)
        #expect(fixture.insert([2, 2, 2, 2]) == [.inserted])
        #expect(fixture.tier.statistics.evictedUnstored == 0)
        #expect(fixture.tier.statistics.handedOver == 1)
    }

    @Test("offers a bounded number of pages for one insert, and refuses it when all are taken over")
    func bounded() throws {
        let spills = Spills()
        let fixture = try Fixture(pages: 40) { spills.keep($0) }
        for run in TokenID(0)..<40 { fixture.insert([run, 0, 0, 0], now: Int64(run), isStored: false) }
        #expect(fixture.insert([99, 0, 0, 0], now: 100) == [.noRoom])
        #expect(spills.offered.count == HotTier.offersPerInsert)
        #expect(fixture.tier.statistics.pinnedPages == HotTier.offersPerInsert)
        #expect(spills.takeAll().count == HotTier.offersPerInsert)
        #expect(fixture.tier.statistics.pinnedPages == 0)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("lists what is not stored, each page before those that follow it")
    func dirtyPages() throws {
        let fixture = try Fixture(pages: 16)
        fixture.insert(Array(1...10), isStored: false)
        fixture.insert(Array(1...4) + [70, 71, 72, 73, 74], isStored: false)
        fixture.insert([20, 21, 22, 23], isStored: true)
        let dirty = fixture.tier.dirtyPages()
        #expect(dirty.count == 5)
        for (index, pin) in dirty.enumerated() where pin.parentHash != fixture.root {
            #expect(dirty[..<index].contains { $0.hash == pin.parentHash })
        }
        #expect(fixture.tier.dirtyPages(limit: 1).map(\.hash) == [fixture.hashes([1, 2, 3, 4])[0]])
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("lists what is not stored of a path, the first page first")
    func dirtyPath() throws {
        let fixture = try Fixture(pages: 16)
        let tokens: [TokenID] = Array(1...15)
        let hashes = fixture.hashes(tokens)
        fixture.insert(tokens, isStored: false)
        fixture.tier.markStored(hashes[0])
        let path = fixture.tier.dirtyPath(to: hashes[3])
        #expect(path.map(\.hash) == [hashes[1], hashes[2], hashes[3]])
        #expect(path.map(\.firstToken) == [4, 8, 12])
        #expect(path.map(\.tokenCount) == [4, 4, 3])
        #expect(path.map(\.parentHash) == [hashes[0], hashes[1], hashes[2]])
        #expect(path.map(\.tokens) == [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15]])
        #expect(path.allSatisfy { $0.root == fixture.root && $0.layout == fixture.layout })
        #expect(fixture.tier.dirtyPath(to: fixture.root).isEmpty)
        #expect(fixture.tier.dirtyPath(to: .sha256([])).isEmpty)
    }

    @Test("lists of a path what no spill is under way for, until that is over, whichever is counted first")
    func queuedPath() throws {
        let fixture = try Fixture(pages: 16)
        let tokens: [TokenID] = Array(1...15)
        let hashes = fixture.hashes(tokens)
        fixture.insert(tokens, isStored: false)
        for pin in fixture.tier.dirtyPath(to: hashes[1]) { pin.countSpill() }
        #expect(fixture.tier.dirtyPath(to: hashes[1]).isEmpty)
        #expect(fixture.tier.dirtyPath(to: hashes[3]).map(\.hash) == [hashes[2], hashes[3]])
        // A flush asks for all: it must wait for what others have queued, and for what they are about to.
        #expect(fixture.tier.dirtyPages().count == 4)
        fixture.tier.markStored(hashes[0])
        for hash in hashes[...1] { fixture.tier.countSpillEnd(hash) }
        #expect(fixture.tier.dirtyPath(to: hashes[1]).map(\.hash) == [hashes[1]])
        fixture.tier.countSpillEnd(hashes[2])
        let late = try #require(fixture.tier.retain(hashes[2]))
        #expect(fixture.tier.dirtyPath(to: hashes[2]).count == 2)
        late.countSpill()
        #expect(fixture.tier.dirtyPath(to: hashes[2]).count == 2)
        fixture.tier.countSpillEnd(.sha256([]))
    }

    @Test("pins by hash until the pin is let go, once")
    func retain() throws {
        let fixture = try Fixture(pages: 1)
        fixture.insert([1, 2, 3], isStored: true)
        let pin = try #require(fixture.tier.retain(fixture.hashes([1, 2, 3])[0]))
        #expect(fixture.insert([9, 9, 9, 9]) == [.noRoom])
        pin.release()
        pin.release()
        #expect(fixture.tier.statistics.pinnedPages == 0)
        #expect(fixture.tier.retain(fixture.root) == nil)
        #expect(fixture.tier.retain(.sha256([])) == nil)
        fixture.tier.markStored(.sha256([]))
        #expect(fixture.insert([9, 9, 9, 9]) == [.inserted])
    }

    @Test("outlives everything but its pin")
    func pinKeepsTheTier() throws {
        let tokens: [TokenID] = [1, 2, 3, 4]
        var fixture: Fixture? = try Fixture(pages: 1)
        fixture?.insert(tokens)
        let expected = fixture?.bytes(tokens, from: 0, count: 4)
        let pin = try #require(fixture.flatMap { $0.tier.retain($0.hashes(tokens)[0]) })
        fixture = nil
        let reader = try Fixture(pages: 1)
        #expect(reader.bytes(of: pin) == expected)
    }
}

/// A tier that a closure learns about after it was made.
private final class TierBox: Sendable {
    private struct WeakTier { weak var tier: HotTier? }

    private let weak = Guarded(WeakTier())

    func set(_ tier: HotTier) { weak.withLock { $0.tier = tier } }

    func markStored(_ hash: PrefixHash) { weak.withLock { $0.tier }?.markStored(hash) }
}
