// Pages that are in RAM as an engine gave them, until they are encoded.

import KVFormat
import Testing
import Threads

@testable import HotTier

@Suite("A staged page")
struct StagingTests {
    private let tokens: [TokenID] = Array(1...8)

    /// Keeps what stands for the record of page `page` of `tokens`.
    private func keep(_ pin: SpillPin, _ fixture: Fixture, page: Int, now: Int64 = 0) -> Bool {
        unsafe pin.keep(fixture.bytes(tokens, from: 4 * page, count: 4).span.bytes, now: now)
    }

    @Test("reads the caller's tensors, one address a plane")
    func planes() throws {
        let fixture = try Fixture(pages: 2, staged: 1)
        let layout = fixture.layout
        let tokens: [TokenID] = [5, 6, 7]
        let packed = fixture.bytes(tokens, from: 0, count: 3)
        let pin = unsafe packed.withUnsafeBytes { bytes -> SpillPin? in
            guard let base = bytes.baseAddress else { return nil }
            let planes = unsafe (0..<layout.planeCount).map {
                unsafe base + 3 * layout.bytesPerToken(beforePlane: $0)
            }
            return unsafe planes.withUnsafeBufferPointer { planes in
                let name = PageName(root: fixture.root, parent: fixture.root, firstToken: 0, tokens: tokens[...])
                return unsafe fixture.space.stage(
                    name, source: PageSource(planes: planes, tokenOffset: 0, capacity: 3), now: 0
                ).pin
            }
        }
        let staged = try #require(pin)
        #expect(fixture.bytes(of: staged) == packed)
        #expect(fixture.matched(tokens) == 3)
    }

    @Test("is found and read at once, and takes nothing of the budget")
    func isFound() throws {
        let fixture = try Fixture(pages: 2, staged: 2)
        let pins = try (0..<2).map { try #require(fixture.stage(tokens, page: $0).pin) }
        #expect(fixture.matched(tokens) == 8)
        #expect(fixture.tier.statistics.usedBytes == .zero)
        #expect(fixture.tier.statistics.stagedBytes == ByteCount(UInt64(2 * Fixture.seatBytes)))
        #expect(pins.map(\.isStaged) == [true, true])
        #expect(fixture.tier.statistics.dirtyPages == 2)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("gives its memory to the next one once its record is kept, which is found in its place")
    func isKept() throws {
        let fixture = try Fixture(pages: 2, staged: 1)
        for page in 0..<2 {
            let pin = try #require(fixture.stage(tokens, page: page).pin)
            #expect(fixture.stage([9, 9, 9, 9], page: 0).outcome == .notStaged)
            #expect(keep(pin, fixture, page: page))
            #expect(!pin.isStaged)
            // A second thread that has encoded it too comes too late.
            #expect(keep(pin, fixture, page: page))
            #expect(fixture.tier.statistics.stagedBytes == .zero)
            #expect(fixture.matched(tokens) == 4 * (page + 1))
            #expect(fixture.tier.checkInvariants() == [])
        }
        #expect(fixture.tier.statistics.usedBytes == fixture.tier.statistics.capacity)
        #expect(fixture.tier.staging.residentBytes == Fixture.seatBytes)
    }

    @Test("stays as it is for those who read it while its record takes its place")
    func leased() throws {
        let fixture = try Fixture(pages: 2, staged: 1)
        let pin = try #require(fixture.stage(tokens, page: 0).pin)
        let lease = Lease(fixture.space.match(tokens, now: 0))
        #expect(keep(pin, fixture, page: 0))
        // Its memory is not free as long as somebody may read it.
        #expect(fixture.stage(tokens, page: 1).outcome == .notStaged)
        #expect(fixture.look(at: lease.match, tokens).wrongPages == [])
    }

    @Test("whose record finds no room is a miss after its last pin, and so is what follows it")
    func noRoom() throws {
        let fixture = try Fixture(pages: 1, staged: 2)
        let pins = try (0..<2).map { try #require(fixture.stage(tokens, page: $0).pin) }
        let other = fixture.insert([9, 9, 9, 9])
        let lease = Lease(fixture.space.match([9, 9, 9, 9], now: 0))
        #expect(other == [.inserted])
        #expect(!keep(pins[0], fixture, page: 0))
        #expect(fixture.matched(tokens) == 8)
        pins[0].release()
        #expect(fixture.matched(tokens) == 0)
        #expect(fixture.tier.checkInvariants() == [])
        #expect(fixture.tier.dirtyPath(to: pins[0].hash).isEmpty)
        #expect(fixture.insert(tokens, page: 1) == .orphan)
        withExtendedLifetime(lease) {}
        pins[1].release()
        #expect(fixture.matched(tokens) == 0)
        #expect(fixture.tier.checkInvariants() == [])
        #expect(fixture.tier.statistics.pages == 1)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("that nobody will encode any more is a miss, and its memory is free")
    func abandoned() throws {
        let fixture = try Fixture(pages: 1, staged: 1)
        try #require(fixture.stage(tokens, page: 0).pin).release()
        #expect(fixture.matched(tokens) == 0)
        #expect(fixture.tier.statistics.stagedBytes == .zero)
        #expect(fixture.insert(tokens, page: 0) == .inserted)
        #expect(fixture.matched(tokens) == 4)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("is not taken when its record would not fit in any case")
    func tooLarge() throws {
        let fixture = try Fixture(in: HotTier(capacity: ByteCount(4095), stagingCapacity: .mebibytes(1)))
        #expect(fixture.stage(tokens, page: 0).outcome == .noRoom)
        #expect(fixture.tier.statistics.stagedBytes == .zero)
    }
}
