import KVFormat
import PageCodec
import Records
import StoreTestKit
import TestKit
import Testing
import Threads

@Suite("A damaged record from outside")
struct DamagedRecordTests {
    /// How a record is damaged.
    enum Damage: CaseIterable { case bit, byte, run, cut, otherKey, otherLayout, swappedFrames, otherHeader }

    let space: StoredPages
    /// As many bytes in other planes: the layouts differ, the sizes do not.
    let other: StoredPages

    init() throws {
        // Two layers of 256 KiB and more each: a record of several frames, which are as long as each other when stored
        // raw.
        let layout = try KVLayout(layers: 4, kvHeads: 2, headDimension: 256, element: .bf16, pageSize: 128)
        let twin = try KVLayout(layers: 8, kvHeads: 2, headDimension: 128, element: .bf16, pageSize: 128)
        let sequences: [[TokenID]] = [Array(0..<256)]
        space = try StoredPages("space", layout: layout, sequences: sequences, codec: .raw)
        other = try StoredPages("space", layout: twin, sequences: sequences, codec: .raw)
    }

    @Test("is taken by nobody, whatever was done to it, 10,000 times")
    func noneAccepted() throws {
        let seed = TestSeed.fresh("damaged records")
        var random = SplitMix64(seed: seed)
        let team = Team(helpers: 1)
        defer { team.close() }
        let loader = RecordLoader(team)
        let sound = space.records[0]
        let original = copy(sound.bytes)
        #expect(accepts(original, for: sound.name, space.layout, loader))
        for round in 0..<10_000 {
            guard let damage = Damage.allCases.randomElement(using: &random) else { continue }
            let (bytes, layout) = damaged(original, damage, &random)
            let isAccepted = accepts(bytes, for: sound.name, layout, loader)
            #expect(!isAccepted, "PFX_SEED=\(seed), round \(round): \(damage)")
        }
    }

    /// Whether anything takes these bytes for the page `name`: the check at the door, the payload's, a tier or the
    /// loader.
    private func accepts(_ bytes: [UInt8], for name: PageName, _ layout: KVLayout, _ loader: RecordLoader) -> Bool {
        let record: RecordBytes
        do throws(RecordDamage) {
            record = try unsafe RecordBytes(
                copying: bytes.span.bytes, key: name.hash, layout: layout, tokens: name.tokens.count)
        } catch {
            return false
        }
        let page = PageRecord(name, record, lastUse: 0)
        let isWhole = (try? record.verifyPayload()) != nil
        let isTaken = (try? MemoryTier([name.root: layout]).take([page])) == [.stored]
        // A tier that keeps what it is given: the decoder must find it.
        let tier = MemoryTier([name.root: layout])
        tier.plant(page)
        let target = UnsafeMutableRawBufferPointer.allocate(byteCount: layout.bytesPerPage, alignment: 64)
        defer { unsafe target.deallocate() }
        guard let base = target.baseAddress else { return true }
        let load = unsafe RecordLoad(
            hash: name.hash, tokens: name.tokens.count, tokenCount: name.tokens.count,
            target: PageTarget(base, capacity: name.tokens.count))
        let isLoaded = (try? loader.load([load], of: layout, from: tier)) != 0
        #expect(isLoaded == tier.damage.isEmpty)
        return isWhole || isTaken || isLoaded
    }

    /// The bytes after damage, and the layout under which they are offered.
    private func damaged(
        _ original: [UInt8], _ damage: Damage, _ random: inout SplitMix64
    ) -> (bytes: [UInt8], layout: KVLayout) {
        var bytes = original
        let record = space.records[0].bytes
        let sound = record.view
        let table = FrameEntry.offset(sound.frameCount)
        // Half of the changes hit header and table, which are a small part of the record.
        let reach = Bool.random(using: &random) ? table : bytes.count
        let at = Int.random(in: 0..<reach, using: &random)
        switch damage {
        case .bit: bytes[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        case .byte: bytes[at] ^= UInt8.random(in: 1...255, using: &random)
        case .run:
            for index in at..<min(at + Int.random(in: 1...4096, using: &random), bytes.count) { bytes[index] ^= 0x5A }
        case .cut: bytes.removeSubrange(at...)
        case .otherKey: return (copy(space.records[1].bytes), space.layout)
        case .otherLayout:
            // A sound record of the one layout under the other, in either direction.
            if Bool.random(using: &random) { return (original, other.layout) }
            return (copy(other.records[0].bytes), space.layout)
        case .swappedFrames:
            // Whole frames in each other's place: header and table stay right.
            let size = sound.uncheckedBytes(ofFrame: 0).byteCount
            let (first, second) = (table..<table + size, table + size..<table + 2 * size)
            bytes.replaceSubrange(first, with: original[second])
            bytes.replaceSubrange(second, with: original[first])
        case .otherHeader:
            // The frames of one page behind the header and table of another.
            let next = copy(space.records[1].bytes)
            bytes.replaceSubrange(table..., with: next[table...])
        }
        return (bytes, space.layout)
    }

    private func copy(_ record: RecordBytes) -> [UInt8] {
        let bytes = record.bytes
        return unsafe bytes.withUnsafeBytes { unsafe Array($0) }
    }
}
