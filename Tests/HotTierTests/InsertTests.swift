import KVFormat
import Testing

@testable import HotTier

@Suite("An insert into RAM")
struct InsertTests {
    @Test("is refused as an orphan when the page before it is not there")
    func orphan() throws {
        let fixture = try Fixture(pages: 8)
        #expect(fixture.insert(Array(1...8), page: 1) == .orphan)
        #expect(fixture.tier.statistics.orphans == 1)
        #expect(fixture.tier.statistics.usedBytes == .zero)
    }

    @Test("is refused as an orphan behind a tail, whose hash is no whole page's")
    func behindATail() throws {
        let fixture = try Fixture(pages: 8)
        fixture.insert([1, 2])
        let tail = fixture.hashes([1, 2])[0]
        let behind = PageName(root: fixture.root, parent: tail, firstToken: 4, tokens: [5, 6, 7, 8])
        let bytes = [UInt8](repeating: 1, count: fixture.layout.bytesPerPage)
        let outcome = unsafe fixture.space.insert(behind, record: bytes.span.bytes, now: 0, isStored: false)
        #expect(outcome == .orphan)
    }

    @Test("of a page that is there changes nothing but its use")
    func alreadyThere() throws {
        let fixture = try Fixture(pages: 8)
        fixture.insert(Array(1...6), isStored: false)
        #expect(fixture.insert(Array(1...6), now: 7, isStored: false) == [.alreadyThere, .alreadyThere])
        #expect(fixture.tier.statistics.pages == 2)
        #expect(fixture.tier.statistics.dirtyPages == 2)
        #expect(fixture.insert(Array(1...6), page: 0, isStored: true) == .alreadyThere)
        #expect(fixture.tier.statistics.dirtyPages == 1)
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("of a longer page replaces the tail that it begins with")
    func replacesTail() throws {
        let fixture = try Fixture(pages: 8)
        fixture.insert([1, 2])
        fixture.insert([1, 2, 3])
        #expect(fixture.tier.statistics.pages == 1)
        fixture.insert([1, 2, 3, 4])
        #expect(fixture.tier.statistics.pages == 1)
        #expect(fixture.tier.statistics.superseded == 2)
        #expect(fixture.matched([1, 2, 3, 4]) == 4)
        #expect(!fixture.tier.holds(fixture.hashes([1, 2])[0]))
        #expect(fixture.tier.checkInvariants() == [])
    }

    @Test("of a tail that a longer page begins with is not needed")
    func tailOfALongerPage() throws {
        let fixture = try Fixture(pages: 8)
        fixture.insert([1, 2, 3, 4])
        #expect(fixture.insert([1, 2, 3]) == [.alreadyThere])
        #expect(fixture.insert([1, 2, 9]) == [.inserted])
        #expect(fixture.tier.statistics.pages == 2)
    }

    @Test("leaves a replaced tail to those who have it pinned, and takes it out with the last pin")
    func pinnedTail() throws {
        let fixture = try Fixture(pages: 3)
        fixture.insert([1, 2])
        let pin = try #require(fixture.tier.retain(fixture.hashes([1, 2])[0]))
        fixture.insert([1, 2, 3, 4], now: 1)
        fixture.insert([1, 2, 3, 5], now: 1)
        #expect(fixture.tier.statistics.pages == 3)
        #expect(fixture.tier.statistics.superseded == 1)
        #expect(fixture.matched([1, 2, 3, 4]) == 4)
        #expect(fixture.bytes(of: pin) == fixture.bytes([1, 2], from: 0, count: 2))
        pin.release()
        #expect(fixture.tier.checkInvariants() == [])
        #expect(!fixture.tier.holds(fixture.hashes([1, 2])[0]))
        #expect(fixture.tier.statistics.pages == 2)
    }

    @Test("finds no room in a tier that is smaller than a page", arguments: [0, 1, 4095])
    func tooSmall(capacity: UInt64) throws {
        let fixture = try Fixture(in: HotTier(capacity: ByteCount(capacity)))
        #expect(fixture.insert([1, 2, 3, 4]) == [.noRoom])
        #expect(fixture.tier.statistics.refused == 1)
        #expect(fixture.matched([1, 2, 3, 4]) == 0)
    }
}

@Suite("A hot tier")
struct TierTests {
    @Test("has one object for one root, and keeps the pages when it is let go")
    func sameObject() throws {
        let tier = try HotTier(capacity: .mebibytes(1))
        let root = PrefixHash.sha256([1])
        let layout = try Fixture.layout()
        do {
            let space = try tier.space(root: root, layout: layout)
            #expect(try tier.space(root: root, layout: layout) === space)
        }
        try Fixture(in: tier).insert([1, 2, 3, 4])
        #expect(try Fixture(in: tier).matched([1, 2, 3, 4]) == 4)
    }

    @Test("refuses a space under a root that has another layout")
    func otherLayout() throws {
        let fixture = try Fixture(pages: 1)
        let other = try Fixture.layout(pageSize: 8)
        #expect(throws: StoreError.invalidLayout("the space is in RAM with another layout")) {
            _ = try fixture.tier.space(root: fixture.root, layout: other)
        }
    }

    @Test("refuses a capacity that no process can address")
    func hugeCapacity() {
        do throws(StoreError) {
            _ = try HotTier(capacity: ByteCount(Limits.hotCapacity.upperBound.value + 1))
            Issue.record("a tier of more than 32 TiB")
        } catch {
            #expect(error.description.contains("the limits are 0 B to 32 TiB"))
        }
    }

    @Test("of the largest capacity takes pages, and reserves no more than it needs")
    func largestCapacity() throws {
        let tier = try HotTier(
            capacity: Limits.hotCapacity.upperBound, stagingCapacity: Limits.hotCapacity.upperBound)
        for pageSize in [64, 128, 192, 256] {
            let layout = try KVLayout(
                layers: 4, kvHeads: 8, headDimension: 128, element: .bf16, pageSize: pageSize)
            let fixture = try Fixture(in: tier, name: "pages of \(pageSize)", layout: layout)
            let tokens = Array(1...TokenID(pageSize))
            fixture.insert(tokens)
            #expect(fixture.matched(tokens) == pageSize)
        }
    }
}
