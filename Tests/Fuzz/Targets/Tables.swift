// Keys and values of the store's tables.

import KVFormat

@testable import ColdTier

extension FuzzTarget {
    /// Which record; then its bytes, to which the checksum is added where it has one. What is read must be written as
    /// the same bytes.
    static let tables = FuzzTarget(
        name: "tables", subject: "keys and values of the store's tables", longest: 8192,
        seeds: { seedsOfTables() },
        run: { input in
            let choice = input.byte()
            let bytes = input.rest()
            switch choice % 11 {
            case 0: readNode(bytes, input)
            case 1:
                let all = bytes.withChecksum(Forging.key)
                guard let record = RecencyRecord(all.raw, key: Forging.key) else { return }
                _ = record.isExpired(at: .max)
                input.plant(record.pins == 7)
                _ = QueueKey.entries(of: Forging.key, record, firstToken: .max)
            case 2:
                guard let key = QueueKey(bytes.raw) else { return }
                input.require(key.encoded == bytes, "a key of the queue is written as it was read")
            case 3:
                guard let key = EdgeKey(bytes.raw) else { return }
                input.require(key.encoded == bytes, "an edge is written as it was read")
                _ = EdgeKey.commonRun(bytes.raw, parent: key.parent, key.first[...])
                _ = EdgeKey.child(bytes.raw)
                _ = EdgeKey.tokenCount(bytes.raw)
            case 4: _ = QuarantineRecord(bytes.raw)?.encoded
            case 5: readSpace(bytes, input)
            case 6: _ = FormatRecord(bytes.raw)?.encoded
            case 7:
                let all = bytes.withChecksum(.zero)
                guard let record = CountersRecord(all.raw) else { return }
                _ = record.usedBytes
                input.require(record.encoded == all, "counters are written as they were read")
            case 8:
                let all = bytes.withChecksum(.zero)
                guard let history = HistoryRecord.history(all.raw, quota: 1 << 30) else { return }
                _ = HistoryRecord.encoded(history)
            case 9: readName(bytes, input)
            default:
                guard let key = SideKey(bytes.raw) else { return }
                input.require(key.encoded == bytes, "the key of a side state is written as it was read")
            }
        })

    private static func readNode(_ bytes: [UInt8], _ input: FuzzInput) {
        let all = bytes.withChecksum(Forging.key)
        guard let node = NodeRecord(all.raw, key: Forging.key) else { return }
        input.require(node.encoded(key: Forging.key) == all, "a node is written as it was read")
        for seal in [nil, Forging.seal] {
            _ = node.hasHash(Forging.key, seal: seal)
            _ = node.tokens(of: Forging.key, by: seal)
        }
        _ = (node.edgeTokens, node.slotBytes, node.indexBytes)
        _ = NodeRecord.commonRun(all.raw, node.tokens[...])
        input.plant(node.tokens.count == 5)
    }

    private static func readSpace(_ bytes: [UInt8], _ input: FuzzInput) {
        guard bytes.count > SpaceRecord.counterBytes + 2 else { return }
        let keyBytes = Int(bytes[SpaceRecord.counterBytes]) | Int(bytes[SpaceRecord.counterBytes + 1]) << 8
        guard let descriptor = SpaceDescriptor(Array(bytes.dropFirst(SpaceRecord.counterBytes + 2 + keyBytes))) else {
            return
        }
        let all = Array(bytes[..<24]).withChecksum(descriptor.root) + bytes[32...]
        guard let space = SpaceRecord(all.raw, root: descriptor.root) else { return }
        _ = WrappedKey(space.wrappedKey)?.keyID
        _ = space.encoded
    }

    private static func readName(_ bytes: [UInt8], _ input: FuzzInput) {
        let (record, name) = (bytes.prefix(72), Array(bytes.dropFirst(72)))
        let all = Array(record).withChecksum(.sha256(name))
        guard let found = NameRecord(all.raw, name: name) else { return }
        input.require(found.encoded(name: name) == all, "a name is written as it was read")
    }

    private static func seedsOfTables() -> [[UInt8]] {
        let hash = Forging.key
        var bare = CountersRecord()
        bare.quota = 1 << 30
        let tokens: [TokenID] = [5, 6, 7]
        let root = PrefixHash.sha256([1])
        func node(_ flags: NodeRecord.Flags, _ name: PageName) -> [UInt8] {
            let node = NodeRecord(
                name, at: 32, codec: 1, flags: flags, rawBytes: 4096, encodedBytes: 3000, createdAt: 1_700_000_000_000)
            return Array(node.encoded(key: hash).dropLast(8))
        }
        let recency = RecencyRecord(lastUse: 1_700_000_000_000)
        let space = (try? Identities.identity()).map { SpaceRecord($0.descriptor, lastUse: 7).encoded } ?? []
        let names = Array("prompt".utf8)
        let name = NameRecord(hash: hash, root: root, createdAt: 7).encoded(name: names).dropLast(8) + names
        var seeds: [(UInt8, [UInt8])] = Names.all(tokens, root: root).map { (0, node($0.flags, $0.name)) }
        seeds.append((1, Array(recency.encoded(key: hash).dropLast(8))))
        seeds.append((2, QueueKey(.use(1), milliseconds: 7, firstToken: 3, hash: hash).encoded))
        seeds.append((3, EdgeKey(parent: root, tokens: tokens, child: hash).encoded))
        seeds.append((4, QuarantineRecord(time: 7, reason: .damagedNode, slotBytes: 4096, root: root).encoded))
        seeds.append((5, space))
        seeds.append((6, FormatRecord(pageSize: 4096, createdAt: 7).encoded))
        seeds.append((7, Array(bare.encoded.dropLast(8))))
        seeds.append((8, Array(HistoryRecord.encoded(UseHistory(capacity: 1 << 30)).dropLast(8))))
        seeds.append((9, Array(name)))
        if let side = SideKey(hash, name: "state") { seeds.append((10, side.encoded)) }
        return seeds.map { [$0.0] + $0.1 }
    }
}

/// Names of pages and blocks for seeds.
private enum Names {
    static func all(_ tokens: [TokenID], root: PrefixHash) -> [(name: PageName, flags: NodeRecord.Flags)] {
        [nil, Forging.seal].flatMap { seal -> [(name: PageName, flags: NodeRecord.Flags)] in
            let page = PageName(root: root, parent: root, firstToken: 0, tokens: tokens[...], seal: seal)
            let block = PageName(block: Array("block".utf8), root: root, parent: nil, seal: seal)
            return [(page, .tail), (block, .block)]
        }
    }
}
