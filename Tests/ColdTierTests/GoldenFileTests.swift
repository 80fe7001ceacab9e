// The golden file of the format: one line per structure, its name and its bytes. These tests compare it with what the
// store writes; tools/check-format, which shares no code with the store, compares it with docs/format.md.

import Foundation
import KVFormat
import PageCodec
import TestKit
import Testing

@testable import ColdTier

@Suite("The golden file of format 2")
struct GoldenFileTests {
    private static let file = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Golden/format-2.txt")
    private static let hash = PrefixHash.sha256(Array("hash".utf8))
    private static let parent = PrefixHash.sha256(Array("parent".utf8))
    private static let root = PrefixHash.sha256(Array("root".utf8))

    private static func descriptor() throws -> SpaceDescriptor {
        let planes = [
            KVPlane(layer: 0, rowBytes: 4, element: .bf16), KVPlane(layer: 0, rowBytes: 34, element: .q8x0),
            KVPlane(layer: 1, rowBytes: 4, element: .bf16), KVPlane(layer: 1, rowBytes: 34, element: .q8x0),
            KVPlane(layer: 2, rowBytes: 2, element: .bf16, window: 128),
        ]
        return try ModelIdentity(
            weights: .sha256(Array("weights".utf8)), layout: KVLayout(planes: planes, pageSize: 4),
            positions: "rope theta=10000", tokenizer: .sha256(Array("tokenizer".utf8)), engine: "golden",
            engineFormat: 3, shard: Shard(tensorRank: 1, tensorSize: 2, pipelineRank: 0, pipelineSize: 1),
            salt: Salt(Array("0123456789abcdef".utf8)), labels: ["b": "2", "a": "1"]
        ).descriptor
    }

    private static func spaces() throws -> [(String, [UInt8])] {
        let descriptor = try descriptor()
        var space = SpaceRecord(descriptor)
        (space.hitTokens, space.lastUse, space.prefillNanoseconds) = (5, 6, 7)
        let chain = PrefixHash.chain(from: descriptor.root, tokens: [1, 2, 3, 4, 5, .max], pageSize: 4)
        return [
            ("space-root", descriptor.root.bytes), ("space", space.encoded), ("page-hash", chain[0].bytes),
            ("tail-hash", chain[1].bytes), ("block-hash", PrefixHash.block(Array("key".utf8), in: root).bytes),
            ("block-space", try Model("golden", layout: .blocks(element: .q8x0)).descriptor.encoded),
        ]
    }

    private static var index: [(String, [UInt8])] {
        let page = PrefixHash.page(after: parent, tokens: [7, 0x0102_0304])
        let node = NodeRecord(
            PageName(root: root, parent: parent, firstToken: 64, tokens: [7, 0x0102_0304]), codec: 1, flags: .tail,
            rawBytes: 512, encodedBytes: 300, createdAt: 1_700_000_000_000)
        let key = Array("key".utf8)
        let block = PrefixHash.block(key, in: root)
        var blockNode = NodeRecord(
            PageName(block: key, root: root, parent: parent), codec: 0, flags: .block, rawBytes: 68, encodedBytes: 68,
            createdAt: 1_700_000_000_000)
        blockNode.firstToken = 3
        var recency = RecencyRecord(lastUse: 6, uses: 7, branches: 0x0102)
        (recency.place, recency.pins, recency.expiry) = (EvictionPlace(useClass: 3, time: 5), 8, 9)
        return [
            ("node-page", node.encoded(key: page)), ("node-block", blockNode.encoded(key: block)),
            ("edge-page", EdgeKey(parent: parent, tokens: [7, 0x0102_0304], child: page).encoded),
            ("edge-block", EdgeKey(parent: parent, tokens: [], child: block).encoded),
            ("recency", recency.encoded(key: hash)),
            ("queue", QueueKey(.use(3), milliseconds: -2, firstToken: 64, hash: hash).encoded),
        ]
    }

    private static var others: [(String, [UInt8])] {
        var counters = CountersRecord()
        (counters.quota, counters.pages, counters.slotBytes, counters.encodedBytes) = (1, 2, 3, 4)
        (counters.rawBytes, counters.evicted, counters.quarantined, counters.generation) = (5, 6, 7, 8)
        (counters.sideStates, counters.indexBytes) = (9, 10)
        let name = Array("syst\u{e8}me".utf8)
        var opener = OpenerRecord(role: .tool, openedAt: 0x0102)
        (opener.processID, opener.namespace, opener.started, opener.program) = (7, 8, 9, "pfx")
        var page = SeenPage(hash)
        page.use(at: 0x0102_0304_0506)
        let seen = (0..<8).map { UInt8(truncatingIfNeeded: page.word >> (8 * UInt64($0))) }
        return [
            ("format", FormatRecord(pageSize: 4096, createdAt: 5).encoded), ("counters", counters.encoded),
            ("name", NameRecord(hash: hash, root: root, createdAt: 5).encoded(name: name)),
            (
                "quarantine",
                QuarantineRecord(time: 5, reason: .damagedRecord, slotBytes: 8192, root: root).encoded
            ),
            ("openers", OpenerRecord.header), ("opener", opener.encoded(slot: 2)),
            ("seen-header", SeenPages.header), ("seen-page", seen),
        ]
    }

    private static var records: [(String, [UInt8])] {
        let state = EncodedRecord()
        let bytes = [UInt8](0..<200)
        unsafe RecordEncoder().encode(
            sideState: bytes.span.bytes, key: hash, name: "state", codec: .raw, into: state)
        let block = EncodedRecord()
        let groups = [UInt8](0..<68)
        unsafe RecordEncoder().encode(
            block: groups.span.bytes, element: .q8x0, key: .block(Array("key".utf8), in: root), codec: .raw,
            into: block)
        return [
            ("side-state-record", unsafe state.bytes.withUnsafeBytes { unsafe Array($0) }),
            ("block-record", unsafe block.bytes.withUnsafeBytes { unsafe Array($0) }),
        ]
    }

    /// Sealed structures, with a data key and a salt that are not random.
    private static func sealed() throws -> [(String, [UInt8])] {
        let dataKey = Digest.sha256(Array("data key".utf8))
        let seal = SpaceSeal(dataKey: dataKey)
        let salt = unsafe SealBytes([UInt8](0..<16).span.bytes, at: 0)
        var space = try SpaceRecord(descriptor().sealed(by: seal))
        (space.hitTokens, space.lastUse, space.prefillNanoseconds) = (5, 6, 7)
        let master = try SealingKey(bytes: Array(1...32))
        space.wrappedKey = WrappedKey(dataKey, by: master, for: space.descriptor.root, salt: salt).bytes
        let name = PageName(root: root, parent: parent, firstToken: 64, tokens: [7, 0x0102_0304], seal: seal)
        var node = NodeRecord(
            PageName(root: root, parent: parent, hash: name.hash, firstToken: 64, tokens: name.tokens), codec: 1,
            flags: .tail, rawBytes: 512, encodedBytes: 300, createdAt: 1_700_000_000_000)
        node.seal(name, by: seal, of: salt)
        let state = EncodedRecord()
        unsafe RecordEncoder(salt: { salt }).encode(
            sideState: [UInt8](0..<200).span.bytes, key: hash, name: "state", codec: .raw, seal: seal, into: state)
        return [
            ("sealed-space", space.encoded), ("sealed-page-hash", name.hash.bytes),
            ("sealed-block-hash", PrefixHash.block(Array("key".utf8), in: root, seal: seal).bytes),
            ("sealed-node", node.encoded(key: name.hash)),
            ("sealed-edge", EdgeKey(parent: parent, tokens: node.edgeTokens, child: name.hash).encoded),
            ("sealed-side-state-record", unsafe state.bytes.withUnsafeBytes { unsafe Array($0) }),
        ]
    }

    /// `PFX_RECORD_SNAPSHOTS=1` writes the file; tools/check-format then says whether the document agrees.
    @Test("is what this build writes, byte for byte")
    func golden() throws {
        let entries = try Self.spaces() + Self.index + Self.others + Self.records + Self.sealed()
        let digits = Array("0123456789abcdef".utf8)
        let text = entries.map { name, bytes in
            let hex = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
            return "\(name) \(String(decoding: hex, as: UTF8.self))\n"
        }.joined()
        if ProcessInfo.processInfo.environment["PFX_RECORD_SNAPSHOTS"] == "1" {
            try Data(text.utf8).write(to: Self.file)
        }
        #expect(try String(contentsOf: Self.file, encoding: .utf8) == text)
    }
}
