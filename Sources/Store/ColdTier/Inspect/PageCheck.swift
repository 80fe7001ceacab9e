// What must hold for one page: node, hash, parent, edge, recency, eviction order, record.

internal import KVFormat
internal import LMDB
internal import PageCodec

/// Checks a page with all that belongs to it, in one snapshot.
struct PageCheck {
    let tier: ColdTier
    let decoder: RecordDecoder
    let scratch: PageScratch

    private var tables: Tables { tier.tables }

    /// What is wrong with the page under `key`.
    func findings(
        _ transaction: borrowing ReadTransaction, _ key: RawSpan, _ value: RawSpan, _ report: inout VerifyReport
    ) throws(LMDBError) -> [VerifyFinding] {
        report.pages += 1
        guard let hash = PrefixHash(key: key) else {
            return [VerifyFinding(.damagedEntry, nil, "A key of the table nodes has \(key.byteCount) bytes.")]
        }
        guard let node = NodeRecord(value, key: hash) else {
            return [
                VerifyFinding(.damagedNode, hash, "Its node fails its checksum, or belongs to another page.")
            ]
        }
        if node.flags.contains(.tail) { report.tails += 1 }
        let seal = try node.flags.contains(.sealed) ? tier.seal(of: node.root, transaction) : nil
        var findings: [VerifyFinding] = []
        findings += try parentFindings(hash, node, seal, transaction)
        findings += try indexFindings(hash, node, transaction)
        guard let space = try transaction.space(node.root, tables).record else {
            findings.append(
                VerifyFinding(.unknownSpace, hash, "Its space \(node.root.short) is not registered, or is damaged."))
            return findings
        }
        let layout = space.descriptor.layout
        findings += Self.shapeFindings(hash, node, layout)
        guard node.flags.contains(.sealed) == !space.wrappedKey.isEmpty else {
            findings.append(VerifyFinding(.wrongShape, hash, "Of it and its space only one is sealed."))
            return findings
        }
        guard !node.flags.contains(.sealed) || seal != nil else {
            findings.append(VerifyFinding(.sealed, hash, "It is sealed, and was not looked into."))
            return findings
        }
        findings += try recordFindings(hash, node, layout, seal, transaction, &report)
        return findings
    }

    /// Hash and parent: the chain from the space root.
    private func parentFindings(
        _ hash: PrefixHash, _ node: NodeRecord, _ seal: SpaceSeal?, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [VerifyFinding] {
        var findings: [VerifyFinding] = []
        if !node.hasHash(hash, seal: seal) {
            let parts = node.flags.contains(.block) ? "its space and its key" : "its parent and its token ids"
            findings.append(VerifyFinding(.wrongHash, hash, "Its prefix hash is not that of \(parts)."))
        }
        func wrong(_ what: String) { findings.append(VerifyFinding(.wrongParent, hash, what)) }
        guard node.parent != node.root else {
            if node.firstToken != 0 { wrong("It follows the space root but begins at token \(node.firstToken).") }
            return findings
        }
        switch try transaction.node(node.parent, tables) {
        case .missing: wrong("Its parent \(node.parent.short) is not stored.")
        case .damaged: wrong("Its parent \(node.parent.short) cannot be read.")
        case .sound(let parent):
            if parent.root != node.root { wrong("Its parent \(node.parent.short) belongs to another space.") }
            if parent.flags.contains(.tail) { wrong("Its parent \(node.parent.short) is a tail.") }
            if parent.flags.contains(.block) != node.flags.contains(.block) {
                wrong("Of it and its parent \(node.parent.short) one is a block and the other a page.")
            }
            if parent.firstToken + (node.flags.contains(.block) ? 1 : parent.tokenCount) != node.firstToken {
                wrong("It begins at \(node.firstToken), its parent ends elsewhere.")
            }
        }
        return findings
    }

    /// Edge, recency and eviction order.
    private func indexFindings(
        _ hash: PrefixHash, _ node: NodeRecord, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [VerifyFinding] {
        var findings: [VerifyFinding] = []
        let edge = EdgeKey(parent: node.parent, tokens: node.edgeTokens, child: hash)
        switch try transaction.read(tables.edges, edge.encoded, { EdgeKey.tokenCount($0) }) {
        case .missing:
            findings.append(VerifyFinding(.missingEdge, hash, "No edge leads from its parent to it."))
        case .damaged:
            findings.append(VerifyFinding(.wrongEdge, hash, "The edge to it cannot be read."))
        case .sound(let count) where count != Int(node.tokenCount):
            findings.append(
                VerifyFinding(.wrongEdge, hash, "The edge to it says \(count) tokens, it has \(node.tokenCount)."))
        case .sound: break
        }
        guard let recency = try transaction.recency(hash, tables).record else {
            findings.append(VerifyFinding(.damagedRecency, hash, "Its recency is missing, or fails its checksum."))
            return findings
        }
        if node.flags.contains(.expires) != (recency.expiry != 0) {
            findings.append(
                VerifyFinding(.wrongExpiry, hash, "Its node and its recency do not agree on whether it expires."))
        }
        for entry in QueueKey.entries(of: hash, recency, firstToken: node.firstToken) {
            guard try transaction.has(tables.queue, entry.encoded) else {
                findings.append(
                    VerifyFinding(.missingQueueEntry, hash, "It is not pinned, and not in the eviction order."))
                break
            }
        }
        return findings
    }

    private static func shapeFindings(
        _ hash: PrefixHash, _ node: NodeRecord, _ layout: KVLayout
    ) -> [VerifyFinding] {
        let tokens = Int(node.tokenCount)
        let isTail = node.flags.contains(.tail)
        guard node.flags.contains(.block) == layout.isOfBlocks else {
            return [VerifyFinding(.wrongShape, hash, "A block in a space of pages, or a page in a space of blocks.")]
        }
        guard !layout.isOfBlocks else { return [] }
        guard tokens <= layout.pageSize, isTail == (tokens < layout.pageSize), layout.isDivisible || !isTail,
            Int(node.firstToken) % layout.pageSize == 0, node.rawBytes == UInt64(layout.pageBytes(tokens: tokens))
        else {
            return [
                VerifyFinding(
                    .wrongShape, hash,
                    "Its \(tokens) tokens and \(node.rawBytes) raw bytes do not fit its space's layout.")
            ]
        }
        return []
    }

    private func recordFindings(
        _ hash: PrefixHash, _ node: NodeRecord, _ layout: KVLayout, _ seal: SpaceSeal?,
        _ transaction: borrowing ReadTransaction, _ report: inout VerifyReport
    ) throws(LMDBError) -> [VerifyFinding] {
        guard let bytes = try unsafe transaction.get(tables.pages, key: hash.bytes.span.bytes) else {
            return [VerifyFinding(.missingRecord, hash, "Its record is not stored.")]
        }
        do throws(RecordDamage) {
            let record = try RecordView(bytes, hash, node, layout, seal)
            let room = unsafe scratch.room(record.rawByteCount)
            if node.flags.contains(.block) {
                var target = unsafe MutableRawSpan(_unsafeBytes: room)
                try decoder.decode(blob: record, into: &target)
            } else if let base = room.baseAddress {
                try decoder.decode(
                    record, tokens: record.tokens, into: unsafe PageTarget(base, capacity: record.tokens))
            }
            report.records += 1
            report.frames += record.frameCount
            report.encodedBytes = ByteCount(report.encodedBytes.value + UInt64(record.byteCount))
            report.rawBytes = ByteCount(report.rawBytes.value + UInt64(record.rawByteCount))
            guard record.byteCount == Int(node.encodedBytes),
                bytes.byteCount == SlotSize.valueBytes(holding: record.byteCount)
            else {
                return [
                    VerifyFinding(
                        .damagedRecord, hash,
                        "Its record has \(record.byteCount) bytes in \(bytes.byteCount), its node says \(node.encodedBytes)."
                    )
                ]
            }
            return []
        } catch {
            return [VerifyFinding(.damagedRecord, hash, "Its record is damaged: \(error).")]
        }
    }
}

extension RecordView {
    /// Checks the record of a page or block against what its node says.
    @_lifetime(copy bytes)
    init(
        _ bytes: RawSpan, _ hash: PrefixHash, _ node: NodeRecord, _ layout: KVLayout, _ seal: SpaceSeal?
    ) throws(RecordDamage) {
        if node.flags.contains(.block) {
            try self.init(block: bytes, key: hash, element: layout.element ?? .opaque, seal: seal)
        } else {
            try self.init(bytes, key: hash, layout: layout, tokens: Int(node.tokenCount), seal: seal)
        }
    }
}
