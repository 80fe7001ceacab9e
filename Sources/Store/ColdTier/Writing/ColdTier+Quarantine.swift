// Removing pages that cannot be trusted.

internal import KVFormat
internal import LMDB
internal import PageCodec

extension ColdTier {
    /// Removes the suspects, each with all that follow it, and notes them in the table `quarantine`.
    ///
    /// Each suspect is checked once more, because another process may have stored it again since a reader of this
    /// process met the damage. The table keeps the newest `Limits.quarantined` entries.
    func quarantine(
        _ suspects: [PrefixHash: QuarantineReason], _ transaction: inout WriteTransaction, _ session: inout WriteSession
    ) throws(LMDBError) {
        for (hash, reason) in suspects {
            guard try isDamaged(hash, reason, &transaction, &session) else { continue }
            for member in try session.subtree(of: hash, &transaction).reversed() {
                let node = try transaction.node(member, tables).record
                guard try session.remove(member, &transaction) > 0 || member == hash else { continue }
                let record = QuarantineRecord(
                    time: session.now, reason: member == hash ? reason : .orphaned,
                    slotBytes: UInt64(node?.slotBytes ?? 0), root: node?.root ?? .zero)
                try transaction.write(tables.quarantine, member.bytes, record.encoded)
                session.counters.quarantined.shift(by: 1)
            }
        }
        if !suspects.isEmpty { try forgetOldest(&transaction) }
    }

    private func forgetOldest(_ transaction: inout WriteTransaction) throws(LMDBError) {
        let excess = try transaction.entryCount(tables.quarantine) - Limits.quarantined
        guard excess > 0 else { return }
        var entries: [(time: Int64, key: [UInt8])] = []
        for key in try transaction.keys(tables.quarantine, from: [0], limit: .max, while: { _ in true }) {
            // An entry that cannot be read goes first.
            let record = try transaction.read(tables.quarantine, key) { QuarantineRecord($0) }.record
            entries.append((record?.time ?? .min, key))
        }
        entries.sort { $0.time < $1.time }
        for entry in entries.prefix(excess) { try transaction.erase(tables.quarantine, entry.key) }
    }

    private func isDamaged(
        _ hash: PrefixHash, _ reason: QuarantineReason, _ transaction: inout WriteTransaction,
        _ session: inout WriteSession
    ) throws(LMDBError) -> Bool {
        switch reason {
        case .undecodable, .orphaned, .damagedSideState: return true
        case .wrongTokens:
            guard let node = try transaction.node(hash, tables).record else { break }
            let owner = try session.space(node.root, &transaction)
            return !node.hasHash(hash, seal: owner.flatMap { self.seal(of: $0) })
        case .damagedNode, .damagedRecord, .missingRecord: break
        }
        guard let node = try transaction.node(hash, tables).record,
            let space = try session.space(node.root, &transaction)
        else {
            let hasNode = try transaction.has(tables.nodes, hash.bytes)
            let hasRecord = try transaction.has(tables.pages, hash.bytes)
            return hasNode || hasRecord
        }
        let seal = self.seal(of: space)
        if node.flags.contains(.sealed) {
            // Without the key nothing can be said about it.
            guard let seal else { return false }
            guard node.hasHash(hash, seal: seal) else { return true }
        }
        let record = try transaction.read(tables.pages, hash.bytes) { bytes -> Bool? in
            Self.isSound(bytes, hash, node, space.descriptor.layout, seal) ? true : nil
        }
        guard case .sound = record
        else { return true }
        return false
    }

    /// Whether the value of a page has the length of a slot, and its record the right key, shape and checksums.
    static func isSound(
        _ bytes: RawSpan, _ hash: PrefixHash, _ node: NodeRecord, _ layout: KVLayout, _ seal: SpaceSeal?
    ) -> Bool {
        guard SlotSize.fillsSlot(bytes.byteCount) else { return false }
        do throws(RecordDamage) {
            try RecordView(bytes, hash, node, layout, seal).verify()
            return true
        } catch {
            return false
        }
    }
}
