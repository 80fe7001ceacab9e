import KVFormat
import Testing
import Threads

@testable import HotTier

/// What a spill closure was given, and what it answers.
private final class Spills: Sendable {
    private let pins = Guarded<[SpillPin]>([])
    private let offers = Guarded<[PrefixHash]>([])

    /// Answers with "taken over", and keeps the pin.
    func keep(_ pin: SpillPin) -> Bool {
        offers.withLock { $0.append(pin.hash) }
        pins.withLock { $0.append(pin) }
        return true
    }

    /// Answers with "drop it".
    func refuse(_ pin: SpillPin) -> Bool {
        offers.withLock { $0.append(pin.hash) }
        return false
    }

    var offered: [PrefixHash] { offers.withLock { $0 } }

    func takeAll() -> [SpillPin] {
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
        #expect(pins.map(\.name.tokens) == [[1, 1, 1, 1]])
        #expect(fixture.bytes(of: pins[0]) == fixture.bytes([1, 1, 1, 1], from: 0, count: 4))
        pins[0].markStored()
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
        let fixture = try Fixture(pages: 1) { pin in
            pin.markStored()
            return true
        }
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
        for (index, pin) in dirty.enumerated() where pin.name.parent != fixture.root {
            #expect(dirty[..<index].contains { $0.hash == pin.name.parent })
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
        fixture.markStored(hashes[0])
        let path = fixture.tier.dirtyPath(to: hashes[3])
        #expect(path.map(\.hash) == [hashes[1], hashes[2], hashes[3]])
        #expect(path.map(\.name.firstToken) == [4, 8, 12])
        #expect(path.map(\.name.parent) == [hashes[0], hashes[1], hashes[2]])
        #expect(path.map(\.name.tokens) == [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15]])
        #expect(path.allSatisfy { $0.name.root == fixture.root && $0.layout == fixture.layout })
        #expect(fixture.tier.dirtyPath(to: fixture.root).isEmpty)
        #expect(fixture.tier.dirtyPath(to: .sha256([])).isEmpty)
    }

    @Test("lists of a path what no spill is under way for, until the spill's pin ends, whichever comes first")
    func queuedPath() throws {
        let fixture = try Fixture(pages: 16)
        let tokens: [TokenID] = Array(1...15)
        let hashes = fixture.hashes(tokens)
        fixture.insert(tokens, isStored: false)
        var spills = fixture.tier.dirtyPath(to: hashes[1])
        for pin in spills { pin.noteQueued() }
        #expect(fixture.tier.dirtyPath(to: hashes[1]).isEmpty)
        #expect(fixture.tier.dirtyPath(to: hashes[3]).map(\.hash) == [hashes[2], hashes[3]])
        // A flush asks for all: it must wait for what others have queued, and for what they are about to.
        #expect(fixture.tier.dirtyPages().count == 4)
        spills[0].markStored()
        spills = []
        #expect(fixture.tier.dirtyPath(to: hashes[1]).map(\.hash) == [hashes[1]])
        let early = try #require(fixture.tier.retain(hashes[2]))
        early.release()
        early.noteQueued()
        #expect(fixture.tier.dirtyPath(to: hashes[2]).count == 2)
    }

    @Test("of one page may be two, and ends with the second")
    func twoSpills() throws {
        let fixture = try Fixture(pages: 2)
        let hash = fixture.hashes([1, 2, 3, 4])[0]
        fixture.insert([1, 2, 3, 4], isStored: false)
        let pins = try (0..<2).map { _ in try #require(fixture.tier.retain(hash)) }
        for pin in pins + pins { pin.noteQueued() }
        pins[0].release()
        #expect(fixture.tier.dirtyPath(to: hash).isEmpty)
        pins[1].release()
        #expect(fixture.tier.dirtyPath(to: hash).count == 1)
        #expect(fixture.tier.checkInvariants() == [])
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
