// Blocks in the tables: what a check makes of them.

import KVFormat
import LMDB
import PageCodec
import Records
import TestKit
import Testing

@testable import ColdTier

@Suite("A block in the cold tier")
struct BlockCheckTests {
    let folder: TemporaryFolder
    let tier: ColdTier
    let descriptor: SpaceDescriptor
    private var root: PrefixHash { descriptor.root }

    init() throws {
        folder = try TemporaryFolder()
        tier = try ColdTier(folder.store)
        descriptor = try Model("blocks", layout: .blocks(element: .q8x0)).descriptor
        try tier.open(space: descriptor)
    }

    /// Stores a block with all that belongs to it, as a page is stored.
    private func put(
        _ key: [UInt8], after parent: PrefixHash?, depth: UInt32, root: PrefixHash? = nil
    ) throws -> PrefixHash {
        let root = root ?? self.root
        let hash = PrefixHash.block(key, in: root)
        let record = EncodedRecord()
        let bytes = [UInt8](repeating: 3, count: 340)
        unsafe RecordEncoder().encode(block: bytes.span.bytes, element: .q8x0, key: hash, codec: .zstd, into: record)
        var node = NodeRecord(
            PageName(block: key, root: root, parent: parent), codec: 1, flags: .block, rawBytes: 340,
            encodedBytes: UInt64(record.byteCount), createdAt: 1000)
        node.firstToken = depth
        let tables = tier.tables
        try tier.writing { (transaction, session) throws(LMDBError) in
            try transaction.writeSlot(tables.pages, hash.bytes, record.bytes)
            try transaction.write(tables.nodes, hash.bytes, node.encoded(key: hash))
            let edge = EdgeKey(parent: node.parent, tokens: [], child: hash)
            try transaction.write(tables.edges, edge.encoded, EdgeKey.value(tokenCount: 0))
            try session.write(
                RecencyRecord(lastUse: 1000), of: hash, firstToken: depth, replacing: nil, &transaction)
            session.counters.count(node, by: 1)
        }
        return hash
    }

    @Test("is found sound with its parent, counted, listed as a block, and gone with its parent")
    func sound() throws {
        let first = try put([1], after: nil, depth: 0)
        let second = try put([2, 2], after: first, depth: 1)
        let report = try tier.verify()
        #expect(report.findings.isEmpty, "\(report.findings)")
        #expect(report.records == 2 && report.rawBytes == ByteCount(680) && report.comparedCounters)
        let info = try tier.page(second)
        #expect(info.isBlock && info.tokenCount == 0 && info.parent == first)
        #expect(try tier.frames(of: second).allSatisfy { $0.isSound && $0.layers.isEmpty })
        #expect(try tier.children(of: first).map(\.hash) == [second])
        _ = try tier.remove(first)
        #expect(try tier.verify().pages == 0)
    }

    @Test("is named when its record is damaged, it follows at another place, or its space is one of pages")
    func damaged() throws {
        let first = try put([1], after: nil, depth: 0)
        _ = try put([2], after: first, depth: 5)
        let model = try Model()
        try tier.open(space: model.descriptor)
        _ = try put([3], after: nil, depth: 0, root: model.root)
        try tier.writing { (transaction, _) throws(LMDBError) in
            var bytes = try transaction.read(tier.tables.pages, first.bytes) { $0.copy(from: 0) }.record ?? []
            bytes[128] ^= 1
            try transaction.write(tier.tables.pages, first.bytes, bytes)
        }
        let kinds = Set(try tier.verify().findings.map(\.kind))
        #expect(kinds == [.damagedRecord, .wrongParent, .wrongShape])
    }

    @Test("is no match for token ids, even as a child of a space of pages")
    func noMatch() throws {
        let model = try Model()
        try tier.open(space: model.descriptor)
        _ = try put([3], after: nil, depth: 0, root: model.root)
        #expect(try model.matched(tokens(8), in: tier) == 0)
    }
}

@Suite("A sealed space")
struct SealedSpaceTests {
    @Test("is refused by name, and takes no page in the clear")
    func refused() throws {
        let plot = try Plot()
        try plot.edit(plot.tier.tables.spaces, plot.model.root.bytes) { bytes in
            var space = unsafe SpaceRecord(bytes.span.bytes, root: plot.model.root)
            space?.wrappedKey = [UInt8](repeating: 5, count: 40)
            bytes = space?.encoded ?? []
        }
        #expect(throws: StoreError.sealedSpace(plot.model.root.short)) {
            try plot.tier.open(space: plot.model.descriptor)
        }
        #expect(try plot.tier.put(plot.model.pages(tokens(4, from: 900))).outcomes == [.orphan])
    }

    @Test("has pages that are a miss, and nobody's damage")
    func miss() throws {
        let plot = try Plot()
        try plot.rewrite(2) { node in
            node.key = [UInt8](repeating: 1, count: 40 + 4 * node.tokens.count)
            node.tokens = []
            node.flags.insert(.sealed)
        }
        #expect(try plot.model.matched(tokens(18), in: plot.tier) == 8)
        #expect(plot.tier.damagedPages == 0)
    }
}
