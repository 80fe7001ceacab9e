// The bytes of every table record: as the format document shows them, and read back only when they are right.

import ColdTier
import KVFormat
import Testing

private let hash = PrefixHash.sha256([1])
private let parent = PrefixHash.sha256([2])
private let root = PrefixHash.sha256([3])

private func hex(_ bytes: [UInt8]) -> String {
    let digits = Array("0123456789abcdef".utf8)
    return String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}

extension Array where Element == UInt8 {
    /// Lends the bytes to `body`.
    fileprivate func span<R>(_ body: (RawSpan) -> R) -> R { unsafe body(span.bytes) }

    /// Every array that differs from this one in one bit.
    fileprivate var flips: [[UInt8]] {
        indices.flatMap { index in
            (0..<8).map { bit in
                var copy = self
                copy[index] ^= 1 << UInt8(bit)
                return copy
            }
        }
    }
}

@Suite("A table record")
struct TableRecordTests {
    private let node = NodeRecord(
        PageName(root: root, parent: parent, hash: hash, firstToken: 64, tokens: [7, 0x0102_0304]), codec: 1,
        flags: .tail, rawBytes: 512, encodedBytes: 300, createdAt: 1_700_000_000_000)

    private var recency: RecencyRecord {
        var record = RecencyRecord(lastUse: 6, uses: 7, branches: 0x0102)
        record.place = EvictionPlace(useClass: 3, time: 5)
        record.pins = 8
        record.expiry = 9
        return record
    }

    private var counters: CountersRecord {
        var record = CountersRecord()
        record.quota = 1
        record.pages = 2
        record.slotBytes = 3
        record.encodedBytes = 4
        record.rawBytes = 5
        record.evicted = 6
        record.quarantined = 7
        record.generation = 8
        record.sideStates = 9
        record.indexBytes = 10
        return record
    }

    @Test("of the format is 16 bytes, the version first")
    func format() {
        let record = FormatRecord(version: 1, pageSize: 4096, createdAt: 0x0102_0304_0506)
        #expect(hex(record.encoded) == "01000000" + "00100000" + "0605040302010000")
        #expect(record.encoded.span { FormatRecord($0) } == record)
        #expect((record.encoded + [1, 2]).span { FormatRecord($0) } == record)
        #expect(Array(record.encoded.dropLast()).span { FormatRecord($0) } == nil)
    }

    @Test("of the counters is read back, and any flipped bit is noticed")
    func countersRecord() {
        let fields = (1...10).map { "0\(String($0, radix: 16))00000000000000" }.joined()
        #expect(hex(counters.encoded).hasPrefix(fields))
        #expect(hex(Array(counters.encoded.suffix(8))) == "420f5f1904166505")
        #expect(counters.encoded.span { CountersRecord($0) } == counters)
        #expect(counters.usedBytes == 13)
        for flip in counters.encoded.flips { #expect(flip.span { CountersRecord($0) } == nil) }
    }

    @Test("of a node is read back under its key only, and any flipped bit is noticed")
    func nodeRecord() {
        let bytes = node.encoded(key: hash)
        let golden =
            parent.description + root.description + "40000000" + "02000000" + "01" + "01"
            + "0002000000000000" + "2c01000000000000" + "0068e5cf8b010000" + "07000000" + "04030201"
        #expect(hex(Array(bytes.dropLast(8))) == golden)
        #expect(hex(Array(bytes.suffix(8))) == "6103029b9bc9a76e")
        #expect(bytes.span { NodeRecord($0, key: hash) } == node)
        #expect(bytes.span { NodeRecord($0, key: parent) } == nil)
        for flip in bytes.flips { #expect(flip.span { NodeRecord($0, key: hash) } == nil) }
        for length in 0..<bytes.count { #expect(Array(bytes.prefix(length)).span { NodeRecord($0, key: hash) } == nil) }
    }

    @Test("of recency is read back under its key only, and any flipped bit is noticed")
    func recencyRecord() {
        let bytes = recency.encoded(key: hash)
        let golden =
            "0600000000000000" + "0500000000000000" + "07000000" + "08000000" + "0900000000000000" + "0201" + "03"
            + "0000000000"
        #expect(hex(Array(bytes.dropLast(8))) == golden)
        #expect(hex(Array(bytes.suffix(8))) == "9d989810f84507a0")
        #expect(bytes.span { RecencyRecord($0, key: hash) } == recency)
        #expect(bytes.span { RecencyRecord($0, key: root) } == nil)
        for flip in bytes.flips { #expect(flip.span { RecencyRecord($0, key: hash) } == nil) }
        #expect(recency.isExpired(at: 9))
        #expect(!recency.isExpired(at: 8))
    }

    @Test("of a space holds its descriptor; a damaged one is refused, damaged counters are zeros")
    func spaceRecord() throws {
        var space = SpaceRecord(try Model().descriptor)
        space.hitTokens = 5
        space.lastUse = 6
        space.prefillNanoseconds = 7
        let root = space.descriptor.root
        #expect(
            hex(space.encoded).hasPrefix(
                "0500000000000000" + "0600000000000000" + "0700000000000000"))
        #expect(Array(space.encoded.dropFirst(32)) == [0, 0] + space.descriptor.encoded)
        #expect(space.encoded.span { SpaceRecord($0, root: root) } == space)
        #expect(space.encoded.span { SpaceRecord($0, root: hash) } == nil)
        for (index, flip) in space.encoded.flips.enumerated() {
            let read = flip.span { SpaceRecord($0, root: root) }
            #expect(index < 32 * 8 ? read == SpaceRecord(space.descriptor) : read == nil)
        }
    }

    @Test("of a sealed space has its wrapped key between counters and descriptor, 256 bytes at most")
    func sealedSpace() throws {
        var space = SpaceRecord(try Model().descriptor)
        space.lastUse = 6
        let root = space.descriptor.root
        for count in [1, 256] {
            space.wrappedKey = [UInt8](repeating: 7, count: count)
            #expect(Array(space.encoded[32..<34]) == [UInt8(truncatingIfNeeded: count), UInt8(count >> 8)])
            #expect(Array(space.encoded.dropFirst(34 + count)) == space.descriptor.encoded)
            #expect(space.encoded.span { SpaceRecord($0, root: root) } == space)
        }
        space.wrappedKey = [UInt8](repeating: 7, count: 257)
        #expect(space.encoded.span { SpaceRecord($0, root: root) } == nil)
    }

    @Test("of a node of a block holds the block's key, and its depth in place of a position")
    func blockNode() {
        let key = Array("block".utf8)
        let own = PrefixHash.block(key, in: root)
        var node = NodeRecord(
            PageName(block: key, root: root, parent: parent), codec: 0, flags: .block, rawBytes: 512, encodedBytes: 640,
            createdAt: 1_700_000_000_000)
        node.firstToken = 3
        let bytes = node.encoded(key: own)
        let golden =
            parent.description + root.description + "03000000" + "00000000" + "00" + "02" + "0002000000000000"
            + "8002000000000000" + "0068e5cf8b010000" + "626c6f636b"
        #expect(hex(Array(bytes.dropLast(8))) == golden)
        #expect(bytes.span { NodeRecord($0, key: own) } == node)
        #expect(node.hasHash(own) && !node.hasHash(parent))
        for flip in bytes.flips { #expect(flip.span { NodeRecord($0, key: own) } == nil) }
        for count in [0, 1, 511, 512] {
            var other = node
            other.key = [UInt8](repeating: 9, count: count)
            let read = other.encoded(key: own).span { NodeRecord($0, key: own) }
            #expect(read == (Limits.blockKey.contains(count) ? other : nil))
        }
    }

    @Test("of a sealed node keeps what stands in the place of its token ids, whatever it is, and has no token ids")
    func sealedNode() {
        var sealed = node
        sealed.tokens = []
        sealed.flags = [.tail, .sealed]
        for (count, isPossible) in [(48, true), (47, false), (49, false), (8, false), (0, false)] {
            sealed.key = [UInt8](repeating: 0xEE, count: count)
            let read = sealed.encoded(key: hash).span { NodeRecord($0, key: hash) }
            #expect(read == (isPossible ? sealed : nil))
        }
        var unknown = node
        unknown.flags = NodeRecord.Flags(rawValue: 16)
        #expect(unknown.encoded(key: hash).span { NodeRecord($0, key: hash) } == nil)
    }

    @Test("of a name says which prefix it stands for, and any flipped bit is noticed")
    func name() {
        let name = Array("syst\u{e8}me".utf8)
        let record = NameRecord(hash: hash, root: root, createdAt: 5)
        let bytes = record.encoded(name: name)
        #expect(hex(Array(bytes.dropLast(8))) == hash.description + root.description + "0500000000000000")
        #expect(hex(Array(bytes.suffix(8))) == "524d94ea7a7dbcca")
        #expect(bytes.span { NameRecord($0, name: name) } == record)
        #expect(bytes.span { NameRecord($0, name: Array("other".utf8)) } == nil)
        for flip in bytes.flips { #expect(flip.span { NameRecord($0, name: name) } == nil) }
        for wrong in [[], [UInt8](repeating: 65, count: 65), [0xFF], [65, 10], [127], Array("\u{85}".utf8)] {
            #expect(record.encoded(name: wrong).span { NameRecord($0, name: wrong) } == nil)
        }
        let longest = [UInt8](repeating: 65, count: 64)
        #expect(record.encoded(name: longest).span { NameRecord($0, name: longest) } == record)
    }

    @Test("of an edge to a block has no token ids")
    func blockEdge() {
        let edge = EdgeKey(parent: parent, tokens: [], child: hash)
        #expect(hex(edge.encoded) == parent.description + hash.description)
        #expect(edge.encoded.span { EdgeKey($0) } == edge)
    }

    @Test("of an edge sorts by token ids, and is read back")
    func edge() {
        let edge = EdgeKey(parent: parent, tokens: [0x0102_0304, 5], child: hash)
        #expect(hex(edge.encoded) == parent.description + "01020304" + "00000005" + hash.description)
        #expect(edge.encoded.span { EdgeKey($0) } == edge)
        #expect(EdgeKey.start(parent: parent, tokens: [0x0102_0304, 5]) == Array(edge.encoded.dropLast(32)))
        #expect(EdgeKey(parent: parent, tokens: tokens(100), child: hash).encoded.count == 192)
        #expect(hex(EdgeKey.value(tokenCount: 64)) == "40000000")
        #expect(EdgeKey.value(tokenCount: 64).span { EdgeKey.tokenCount($0) } == 64)
        #expect([UInt8](repeating: 0, count: 3).span { EdgeKey.tokenCount($0) } == nil)
        for length in [0, 63, 65, 67, 196] {
            #expect([UInt8](repeating: 0, count: length).span { EdgeKey($0) } == nil)
        }
    }

    @Test("of the queue sorts by class, time and depth, and is read back")
    func queue() {
        func key(_ order: QueueKey.Order, _ time: Int64, _ first: UInt32) -> QueueKey {
            QueueKey(order, milliseconds: time, firstToken: first, hash: hash)
        }
        #expect(
            hex(key(.use(0), 2, 64).encoded) == "01" + "8000000000000002" + "ffffffbf" + hash.description)
        let ordered = [
            key(.expiry, -5, 0), key(.expiry, 9, 0), key(.use(0), .min, 4), key(.use(0), -1, 4), key(.use(0), 7, 128),
            key(.use(0), 7, 64), key(.use(0), 7, 0), key(.use(0), 8, 128), key(.use(0), .max, 0), key(.use(1), 0, 0),
            key(.use(5), -9, 0),
        ]
        for (left, right) in zip(ordered, ordered.dropFirst()) {
            #expect(left.encoded.lexicographicallyPrecedes(right.encoded))
        }
        for entry in ordered { #expect(entry.encoded.span { QueueKey($0) } == entry) }
        #expect([UInt8](repeating: 0, count: 44).span { QueueKey($0) } == nil)
        #expect([UInt8](repeating: 7, count: 45).span { QueueKey($0) } == nil)
    }

    @Test("of the queue exists once for a page, twice when it expires, never when it is pinned")
    func queueEntries() {
        var record = RecencyRecord(lastUse: 5, branches: 2)
        #expect(QueueKey.entries(of: hash, record, firstToken: 0).map(\.order) == [.use(2)])
        record.expiry = 10
        #expect(QueueKey.entries(of: hash, record, firstToken: 0).map(\.milliseconds) == [5, 10])
        record.pins = 1
        #expect(QueueKey.entries(of: hash, record, firstToken: 0).isEmpty)
    }

    @Test("of a side state is named by prefix hash and name")
    func side() {
        let key = SideKey(hash, name: "zustand")
        #expect(key?.encoded == hash.bytes + Array("zustand".utf8))
        #expect(key?.encoded.span { SideKey($0) } == key)
        #expect(SideKey(hash, name: "") == nil)
        #expect(SideKey(hash, name: String(repeating: "n", count: 64)) != nil)
        #expect(SideKey(hash, name: String(repeating: "n", count: 65)) == nil)
        #expect(hash.bytes.span { SideKey($0) } == nil)
        #expect((hash.bytes + [0xFF]).span { SideKey($0) } == nil)
    }

    @Test("of the quarantine says when, why and how much", arguments: QuarantineReason.allCases)
    func quarantine(reason: QuarantineReason) {
        let record = QuarantineRecord(time: 5, reason: reason, slotBytes: 8192, root: root)
        #expect(
            hex(record.encoded) == "0500000000000000" + "0\(reason.rawValue)" + "00000000000000" + "0020000000000000"
                + root.description)
        #expect(record.encoded.span { QuarantineRecord($0) } == record)
        #expect(!reason.description.isEmpty)
        var unknown = record.encoded
        unknown[8] = 99
        #expect(unknown.span { QuarantineRecord($0) } == nil)
        #expect(Array(record.encoded.dropLast()).span { QuarantineRecord($0) } == nil)
    }
}

@Suite("A slot")
struct SlotSizeTests {
    @Test("is the smallest class that holds the record and LMDB's header")
    func classes() {
        let expected = [
            (1, 4096), (4080, 4096), (4081, 8192), (8177, 12_288), (30_000, 32_768), (65_520, 65_536),
            (65_521, 73_728), (73_713, 81_920), (131_056, 131_072), (131_057, 147_456), (262_128, 262_144),
            (262_129, 294_912), (524_272, 524_288), (524_273, 589_824), (1 << 20, 17 << 16),
        ]
        for (bytes, run) in expected {
            #expect(SlotSize.slotBytes(holding: bytes) == run)
            #expect(SlotSize.valueBytes(holding: bytes) == run - 16)
            #expect(SlotSize.fillsSlot(run - 16))
            #expect(!SlotSize.fillsSlot(run - 17))
        }
    }

    @Test("wastes an eighth of itself at most, or 4 KiB, at every size up to 4 MiB")
    func waste() {
        for bytes in 1...4 << 20 {
            let run = SlotSize.slotBytes(holding: bytes)
            guard run >= bytes + 16, run % 4096 == 0, run - bytes - 16 < max(run / 8, 4096) else {
                Issue.record("\(bytes) bytes in a run of \(run)")
                return
            }
        }
    }
}
