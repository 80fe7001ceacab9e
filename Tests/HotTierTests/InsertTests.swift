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
        let outcome = unsafe bytes.withUnsafeBytes { bytes -> InsertOutcome? in
            guard let base = bytes.baseAddress else { return nil }
            return unsafe fixture.space.insert(
                behind, source: PageSource(base, capacity: 4), now: 0, isStored: false)
        }
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

    @Test("reads the caller's tensors, one address a plane")
    func planes() throws {
        let fixture = try Fixture(pages: 2)
        let layout = fixture.layout
        let tokens: [TokenID] = [5, 6, 7]
        let packed = fixture.bytes(tokens, from: 0, count: 3)
        let outcome = unsafe packed.withUnsafeBytes { bytes -> InsertOutcome? in
            guard let base = bytes.baseAddress else { return nil }
            let planes = unsafe (0..<layout.planeCount).map {
                unsafe base + 3 * layout.bytesPerToken(beforePlane: $0)
            }
            return unsafe planes.withUnsafeBufferPointer { planes in
                let name = PageName(root: fixture.root, parent: fixture.root, firstToken: 0, tokens: tokens[...])
                return unsafe fixture.space.insert(
                    name, source: PageSource(planes: planes, tokenOffset: 0, capacity: 3), now: 0, isStored: false)
            }
        }
        #expect(outcome == .inserted)
        #expect(fixture.matched(tokens) == 3)
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

    @Test("says when the system has no address space for a space's pages")
    func noAddressSpace() throws {
        // Each space has another seat size and so reserves the whole capacity; a process has 128 TiB at most.
        let tier = try HotTier(capacity: Limits.hotCapacity.upperBound)
        var failures: [StoreError] = []
        for pageSize in [64, 128, 192, 256] {
            do throws(StoreError) {
                _ = try tier.space(root: .sha256([UInt8(pageSize - 1)]), layout: largeLayout(pageSize))
            } catch {
                failures.append(error)
            }
        }
        guard case .system(call: "mmap", _)? = failures.first else {
            Issue.record("\(failures)")
            return
        }
    }

    private func largeLayout(_ pageSize: Int) throws(StoreError) -> KVLayout {
        try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16, pageSize: pageSize)
    }
}
