// Records that are in the tier before their pages are.

import Glibc
import KVFormat
import Testing

@testable import HotTier

@Suite("A record without a page")
struct SeatedRecordTests {
    private let tokens: [TokenID] = Array(1...8)

    private func seat(_ fixture: Fixture, page: Int) -> SeatedRecord? {
        unsafe fixture.tier.seat(fixture.bytes(tokens, from: 4 * page, count: 4).span.bytes, now: 0)
    }

    @Test("gets its page in any order of copies, and is that of an insert then")
    func isPublished() throws {
        let fixture = try Fixture(pages: 2)
        let records = try [1, 0].map { try #require(seat(fixture, page: $0)) }
        #expect(fixture.tier.checkInvariants() == [])
        #expect(fixture.space.insert(fixture.name(tokens, page: 1), seated: records[0], now: 0) == .orphan)
        #expect(fixture.space.insert(fixture.name(tokens, page: 0), seated: records[1], now: 0) == .inserted)
        #expect(fixture.space.insert(fixture.name(tokens, page: 1), seated: records[0], now: 0) == .inserted)
        #expect(fixture.matched(tokens) == 8)
        #expect(fixture.tier.statistics.dirtyPages == 2)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("gives its memory back when it gets none")
    func ends() throws {
        let fixture = try Fixture(pages: 1)
        for _ in 0..<3 { #expect(seat(fixture, page: 0) != nil) }
        #expect(fixture.tier.statistics.usedBytes == .zero)
        #expect(fixture.insert(tokens, page: 0) == .inserted)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("comes too late for a page that is there")
    func isLate() throws {
        let fixture = try Fixture(pages: 2)
        do {
            let record = try #require(seat(fixture, page: 0))
            #expect(fixture.insert(tokens, page: 0) == .inserted)
            #expect(fixture.space.insert(fixture.name(tokens, page: 0), seated: record, now: 0) == .alreadyThere)
        }
        #expect(fixture.tier.statistics.usedBytes == ByteCount(UInt64(Fixture.seatBytes)))
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("is refused when nothing can be evicted for it")
    func noRoom() throws {
        let fixture = try Fixture(pages: 1)
        let record = seat(fixture, page: 0)
        #expect(seat(fixture, page: 1) == nil)
        withExtendedLifetime(record) {}
        #expect(fixture.tier.checkInvariants() == [])
    }
}

@Suite("Memory of a seat")
struct FreshMemoryTests {
    @Test("is there after one call, all of it and no more")
    func isThere() throws {
        let memory = try Reservation(byteCount: 4 << 20, isHuge: false)
        unsafe FreshMemory.provide(memory.base, byteCount: 1 << 20)
        var pages = [UInt8](repeating: 2, count: 1024)
        try #require(unsafe mincore(memory.base, 4 << 20, &pages) == 0)
        #expect(pages.map { $0 & 1 } == (0..<1024).map { $0 < 256 ? 1 : 0 })
        #expect(unsafe memory.base.load(as: Int.self) == 0)
    }
}
