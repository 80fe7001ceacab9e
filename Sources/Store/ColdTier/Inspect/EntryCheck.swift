// What must hold for the entries of the tables that hang on a page: records, edges, recency, eviction order, side
// states. A page's own check finds what it lacks; these find what lacks a page.

internal import KVFormat
internal import LMDB
internal import PageCodec

/// Checks single entries, each in the snapshot of its walk.
struct EntryCheck {
    let tier: ColdTier
    let decoder: RecordDecoder
    let scratch: PageScratch

    private var tables: Tables { tier.tables }

    /// A record needs a node.
    func findings(
        record key: RawSpan, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [VerifyFinding] {
        guard let hash = PrefixHash(key: key) else { return [Self.damaged(.pages)] }
        guard try !transaction.has(tables.nodes, hash.bytes) else { return [] }
        return [VerifyFinding(.orphanRecord, hash, "Its record is stored, but no node.")]
    }

    /// An edge needs a page with its parent and token ids.
    func findings(
        edge key: RawSpan, _ value: RawSpan, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [VerifyFinding] {
        guard let edge = EdgeKey(key) else { return [Self.damaged(.edges)] }
        switch try transaction.node(edge.child, tables) {
        case .missing:
            return [
                VerifyFinding(
                    .orphanEdge, edge.child, "An edge leads to it from \(edge.parent.short), but it is not stored.")
            ]
        case .damaged: return []
        case .sound(let node):
            let own = EdgeKey(parent: node.parent, tokens: node.edgeTokens, child: edge.child)
            guard own != edge else { return [] }
            return [
                VerifyFinding(
                    .wrongEdge, edge.child, "An edge leads to it from \(edge.parent.short) that is not its own.")
            ]
        }
    }

    /// A recency record needs a page.
    func findings(
        recency key: RawSpan, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [VerifyFinding] {
        guard let hash = PrefixHash(key: key) else { return [Self.damaged(.recency)] }
        guard try !transaction.has(tables.nodes, hash.bytes) else { return [] }
        return [VerifyFinding(.orphanRecency, hash, "Its recency is stored, but no node.")]
    }

    /// An entry of the eviction order needs a page whose recency says the same.
    func findings(
        queue key: RawSpan, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [VerifyFinding] {
        guard let entry = QueueKey(key) else { return [Self.damaged(.queue)] }
        switch try transaction.node(entry.hash, tables) {
        case .missing:
            return [VerifyFinding(.orphanQueueEntry, entry.hash, "It is in the eviction order, but not stored.")]
        case .damaged: return []
        case .sound(let node):
            guard let recency = try transaction.recency(entry.hash, tables).record else { return [] }
            let own = QueueKey.entries(of: entry.hash, recency, firstToken: node.firstToken)
            guard !own.contains(entry) else { return [] }
            return [
                VerifyFinding(
                    .orphanQueueEntry, entry.hash, "It is in the eviction order where its recency does not put it.")
            ]
        }
    }

    /// A side state needs a page, and must decode.
    func findings(
        side key: RawSpan, _ value: RawSpan, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> [VerifyFinding] {
        guard let side = SideKey(key) else { return [Self.damaged(.sides)] }
        guard try transaction.has(tables.nodes, side.hash.bytes) else {
            return [VerifyFinding(.orphanSideState, side.hash, "It has a side state, but is not stored.")]
        }
        let node = try transaction.node(side.hash, tables).record
        let isSealed = node?.flags.contains(.sealed) == true
        let seal = isSealed ? try tier.seal(of: node?.root ?? .zero, transaction) : nil
        guard !isSealed || seal != nil else {
            return [VerifyFinding(.sealed, side.hash, "Its side state is sealed, and was not looked into.")]
        }
        do throws(RecordDamage) {
            guard SlotSize.fillsSlot(value.byteCount) else { throw .truncated }
            let record = try RecordView(sideState: value, key: side.hash, name: side.name, seal: seal)
            let room = unsafe scratch.room(record.rawByteCount)
            var target = unsafe MutableRawSpan(_unsafeBytes: room)
            try decoder.decode(blob: record, into: &target)
            return []
        } catch {
            return [VerifyFinding(.damagedSideState, side.hash, "Its side state \(side.name) is damaged: \(error).")]
        }
    }

    private static func damaged(_ table: TableName) -> VerifyFinding {
        VerifyFinding(.damagedEntry, nil, "A key of the table \(table.rawValue) is not one that this version writes.")
    }
}

extension Verification {
    /// The format record and the counters.
    static func findings(meta key: RawSpan, _ value: RawSpan) -> [VerifyFinding] {
        let name = key.copy(from: 0)
        if name == MetaKey.format, FormatRecord(value)?.version != FormatRecord.current {
            return [VerifyFinding(.damagedMeta, nil, "The format record cannot be read.")]
        }
        if name == MetaKey.counters, CountersRecord(value) == nil {
            return [VerifyFinding(.damagedMeta, nil, "The counters fail their checksum; the next writer counts again.")]
        }
        return []
    }

    /// A space's descriptor must hash to its root.
    static func findings(space key: RawSpan, _ value: RawSpan, _ tier: ColdTier) -> [VerifyFinding] {
        guard let root = PrefixHash(key: key) else {
            return [VerifyFinding(.damagedEntry, nil, "A key of the table spaces has \(key.byteCount) bytes.")]
        }
        guard let space = SpaceRecord(value, root: root) else {
            return [VerifyFinding(.damagedSpace, root, "Its descriptor cannot be read, or does not hash to its root.")]
        }
        guard !space.wrappedKey.isEmpty, tier.seal(of: space) == nil else { return [] }
        guard space.wrappedKey != WrappedKey.gone else {
            return [VerifyFinding(.sealed, root, "It was forgotten; `pfx forget` removes the rest.")]
        }
        guard let wrapped = WrappedKey(space.wrappedKey), wrapped.keyID != tier.options.sealingKey?.id else {
            let what = "Its wrapped key is damaged: nobody can read its pages any more."
            return [VerifyFinding(.damagedSpace, root, what)]
        }
        let other = tier.options.sealingKey.map { " with the key \(wrapped.keyID), not with \($0.id)" } ?? ""
        let what = "Its pages are sealed\(other), and were not looked into."
        return [VerifyFinding(.sealed, root, what)]
    }

    /// A name must be one, and its value whole.
    static func findings(name key: RawSpan, _ value: RawSpan) -> [VerifyFinding] {
        guard NameRecord(value, name: key.copy(from: 0)) == nil else { return [] }
        return [VerifyFinding(.damagedEntry, nil, "An entry in the table names cannot be read.")]
    }

    /// A line of the list of pages taken out.
    static func findings(quarantine key: RawSpan, _ value: RawSpan) -> [VerifyFinding] {
        guard PrefixHash(key: key) == nil || QuarantineRecord(value) == nil else { return [] }
        return [VerifyFinding(.damagedEntry, PrefixHash(key: key), "Its entry in the table quarantine cannot be read.")]
    }
}
