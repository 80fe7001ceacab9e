// Blocks in the cold tier: stored and loaded under keys that an engine brings.

import KVFormat
import LMDB
import PageCodec
import Records
import TestKit
import Testing
import Threads

@testable import ColdTier

/// A space of blocks whose bytes follow from their keys.
private struct BlockModel {
    let descriptor: SpaceDescriptor
    private var root: PrefixHash { descriptor.root }
    private var element: KVElement { descriptor.layout.element ?? .opaque }

    init(_ name: String = "blocks", element: KVElement = .bf16) throws(StoreError) {
        descriptor = try Model(name, layout: .blocks(element: element)).descriptor
    }

    func hash(_ key: [UInt8]) -> PrefixHash { .block(key, in: root) }

    /// Bytes that no codec makes much smaller.
    static func bytes(_ key: [UInt8], count: Int) -> [UInt8] {
        var random = SplitMix64(seed: key.reduce(7) { $0 &* 31 &+ UInt64($1) })
        return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }

    /// A block, encoded.
    func block(
        _ key: [UInt8], after parent: [UInt8]? = nil, count: Int = 4096, now: Int64 = 1000
    ) -> PageRecord {
        let name = PageName(block: key, root: root, parent: parent.map { .block($0, in: root) })
        let record = EncodedRecord()
        let bytes = Self.bytes(key, count: count)
        unsafe RecordEncoder().encode(
            block: bytes.span.bytes, element: element, key: name.hash, codec: .zstd, into: record)
        return PageRecord(name, RecordBytes(record), lastUse: now)
    }

    /// Loads blocks into targets of `count` bytes, each cut into parts of at most `part` bytes. Nil for those that were
    /// not loaded.
    func load(
        _ keys: [[UInt8]], count: Int = 4096, part: Int = .max, from tier: ColdTier
    ) throws(StoreError) -> [[UInt8]?] {
        let team = Team(helpers: 2)
        defer { team.close() }
        let memory = UnsafeMutableRawPointer.allocate(byteCount: max(1, keys.count * count), alignment: 64)
        defer { unsafe memory.deallocate() }
        let rooms = unsafe keys.indices.map {
            unsafe UnsafeMutableRawBufferPointer(start: memory + $0 * count, count: count)
        }
        var loads: [BlockLoad] = []
        for index in keys.indices {
            let room = unsafe rooms[index]
            var parts = unsafe [UnsafeMutableRawBufferPointer]()
            for start in stride(from: 0, to: count, by: min(part, max(1, count))) {
                let end = min(start + min(part, count), count)
                unsafe parts.append(UnsafeMutableRawBufferPointer(rebasing: room[start..<end]))
            }
            unsafe loads.append(BlockLoad(hash: hash(keys[index]), target: BlockTarget(parts: parts)))
        }
        let isLoaded = try RecordLoader(team).load(loads, of: descriptor.layout, from: tier)
        return keys.indices.map { isLoaded[$0] ? unsafe Array(rooms[$0]) : nil }
    }
}

@Suite("Blocks in the cold tier")
struct BlockTests {
    let folder: TemporaryFolder
    private let model: BlockModel

    init() throws {
        folder = try TemporaryFolder()
        model = try BlockModel()
    }

    private func open(quota: ByteCount = .mebibytes(256)) throws(StoreError) -> ColdTier {
        let tier = try ColdTier(folder.store, quota: quota)
        try tier.open(space: model.descriptor)
        return tier
    }

    @Test("come back byte for byte after the store was opened again, in one piece or in parts of any size")
    func comeBack() throws {
        let keys: [[UInt8]] = [[1], [UInt8](repeating: 2, count: 511), [3, 0]]
        let sizes = [2, 4096, (5 << 19) + 6]
        let tier = try open()
        let blocks = zip(keys, sizes).map { model.block($0, count: $1) }
        #expect(try tier.put(blocks).outcomes == [.stored, .stored, .stored])
        tier.close()
        let again = try open()
        for (key, size) in zip(keys, sizes) {
            for part in [Int.max, 1 << 20, 300_001, 1000] where size / part < 5000 {
                let loaded = try model.load([key], count: size, part: part, from: again)
                #expect(loaded == [BlockModel.bytes(key, count: size)])
            }
        }
        #expect(try again.verify().findings.isEmpty)
        again.close()
    }

    @Test("are found by key alone, each for itself, and how many lead a list")
    func found() throws {
        let tier = try open()
        _ = try tier.put([model.block([1]), model.block([2]), model.block([4])])
        let keys: [[UInt8]] = [[1], [2], [3], [4]]
        #expect(try tier.held(keys.map(model.hash), usedAt: nil) == Set([[1], [2], [4]].map(model.hash)))
        #expect(try tier.leadingCount(of: keys.map(model.hash)) == 2)
        #expect(try tier.leadingCount(of: []) == 0)
        let loaded = try model.load(keys, from: tier)
        #expect(loaded.map { $0 != nil } == [true, true, false, true])
    }

    @Test("are evicted from the end of a chain, within the quota")
    func evicted() throws {
        let tier = try open(quota: .mebibytes(4))
        var keys: [[UInt8]] = []
        for number in 0..<UInt8(100) {
            let block = model.block([number], after: keys.last, count: 100_000)
            // The chain is longer than the quota: in the end its last block has no room that is not a block before it.
            guard try tier.put([block]).outcomes == [.stored] else { break }
            keys.append([number])
            #expect(try tier.statistics.usedBytes <= 4 << 20)
        }
        #expect(keys.count > 20)
        for number in 0..<UInt8(30) {
            _ = try tier.put([model.block([200, number], count: 100_000, now: 2000 + Int64(number))])
        }
        let hashes = keys.map(model.hash)
        let held = try tier.held(hashes, usedAt: nil)
        #expect(held.count < keys.count && held == Set(hashes.prefix(held.count)))
        #expect(try tier.statistics.usedBytes <= 4 << 20)
        #expect(try tier.verify().findings.isEmpty)
    }

    @Test("that were touched stay longer than those put after them")
    func touched() throws {
        let tier = try open(quota: .mebibytes(4))
        for number in 0..<UInt8(20) {
            _ = try tier.put([model.block([number], count: 100_000, now: 1000 + Int64(number))])
        }
        tier.touch([model.hash([0])], now: 900_000)
        for number in 20..<UInt8(60) {
            _ = try tier.put([model.block([number], count: 100_000, now: 2000 + Int64(number))])
        }
        let held = try tier.held([[0], [1], [59]].map(model.hash), usedAt: nil)
        #expect(held == Set([[0], [59]].map(model.hash)))
    }

    @Test("that are damaged are a miss, each alone, and the next writer takes them out with what follows")
    func damaged() throws {
        let tier = try open()
        _ = try tier.put([model.block([1]), model.block([2], after: [1]), model.block([3])])
        let key = model.hash([1]).bytes
        try tier.writing { (transaction, _) throws(LMDBError) in
            var bytes = try transaction.read(tier.tables.pages, key) { $0.copy(from: 0) }.record ?? []
            bytes[1000] ^= 1
            try transaction.write(tier.tables.pages, key, bytes)
        }
        #expect(try model.load([[1], [3]], from: tier) == [nil, BlockModel.bytes([3], count: 4096)])
        #expect(tier.damagedPages == 1)
        #expect(try tier.held([model.hash([1])], usedAt: nil).isEmpty)
        try tier.flushTouches()
        #expect(try tier.held([[1], [2], [3]].map(model.hash), usedAt: nil) == [model.hash([3])])
        #expect(try tier.put([model.block([1])]).outcomes == [.stored])
        #expect(try model.load([[1]], from: tier) == [BlockModel.bytes([1], count: 4096)])
        #expect(try tier.verify().findings.isEmpty)
    }

    @Test("of another size than the target are a miss, and nobody's damage")
    func otherSize() throws {
        let tier = try open()
        _ = try tier.put([model.block([1])])
        for count in [0, 4094, 4098] { #expect(try model.load([[1]], count: count, from: tier) == [nil]) }
        #expect(try model.load([[1]], from: tier) == [BlockModel.bytes([1], count: 4096)])
        #expect(tier.damagedPages == 0)
    }

    @Test("of one space never answer for another, whatever differs between them")
    func otherSpace() throws {
        let tier = try open()
        let others = try [BlockModel("others"), BlockModel(element: .fp16)]
        for other in others { try tier.open(space: other.descriptor) }
        _ = try tier.put([model.block([1])])
        for other in others {
            #expect(try other.load([[1]], from: tier) == [nil])
            #expect(try tier.leadingCount(of: [other.hash([1])]) == 0)
            let stranger = PageRecord(other.block([1]).name, model.block([1]).bytes, lastUse: 1)
            #expect(try tier.put([stranger]).outcomes == [.invalid])
        }
    }

    @Test("are stored once, and the first stays")
    func duplicates() throws {
        let tier = try open()
        #expect(try tier.put([model.block([1]), model.block([1], count: 64)]).outcomes == [.stored, .alreadyThere])
        #expect(try model.load([[1]], from: tier) == [BlockModel.bytes([1], count: 4096)])
        #expect(try tier.verify().pages == 1)
    }

    @Test("follow a block of their space that is there, and go with it")
    func parents() throws {
        let tier = try open()
        let pages = try Model()
        try tier.open(space: pages.descriptor)
        _ = try tier.put(pages.pages(tokens(4)))
        #expect(try tier.put([model.block([2], after: [1])]).outcomes == [.orphan])
        let onPage = PageName(block: [9], root: model.descriptor.root, parent: pages.path(tokens(4))[0])
        #expect(try tier.put([PageRecord(onPage, model.block([9]).bytes, lastUse: 1)]).outcomes == [.orphan])
        let family = [model.block([1]), model.block([2], after: [1]), model.block([3], after: [2]), model.block([4])]
        #expect(try tier.put(family).outcomes == [.stored, .stored, .stored, .stored])
        #expect(try tier.page(model.hash([3])).firstToken == 2)
        #expect(try tier.verify().findings.isEmpty)
        #expect(try tier.removeAll([[2], [7], [2]].map(model.hash)) == 2)
        #expect(try tier.held([[1], [2], [3], [4]].map(model.hash), usedAt: nil) == Set([[1], [4]].map(model.hash)))
    }

    @Test("are no pages, and pages are no blocks")
    func kinds() throws {
        let tier = try open()
        let pages = try Model()
        try tier.open(space: pages.descriptor)
        let inPages = PageName(block: [1], root: pages.root, parent: nil)
        #expect(try tier.put([PageRecord(inPages, model.block([1]).bytes, lastUse: 1)]).outcomes == [.invalid])
        let name = PageName(root: model.descriptor.root, parent: model.descriptor.root, firstToken: 0, tokens: [1])
        #expect(try tier.put([PageRecord(name, model.block([1]).bytes, lastUse: 1)]).outcomes == [.invalid])
    }
}
