// Side states: blobs tied to a stored page. They count against the quota and are removed with their page.

package import KVFormat
internal import LMDB
internal import PageCodec
internal import Threads

extension ColdTier {
    /// Stores a side state with a page and replaces one of the same name. It is durable when this returns.
    ///
    /// - Parameters:
    ///   - name: 1 to `Limits.sideStateName` bytes.
    ///   - hash: the page after whose last token the state was taken.
    ///   - bytes: at most `Limits.sideStateBytes`.
    ///   - seal: that of a sealed space.
    /// - Throws: `.invalidSideState`; `.noSuchPage`; `.quotaFull` when no room can be made within the quota;
    ///   `.diskFull` when none can be made on a full disk; `.mapFull`.
    package func putSideState(
        _ name: String, of hash: PrefixHash, _ bytes: RawSpan, seal: SpaceSeal? = nil
    ) throws(StoreError) {
        guard let key = SideKey(hash, name: name)?.encoded else {
            throw .invalidSideState("a name has 1 to \(Limits.sideStateName) bytes")
        }
        guard bytes.byteCount <= Limits.sideStateBytes else {
            throw .invalidSideState("\(bytes.byteCount) bytes; the limit is \(Limits.sideStateBytes)")
        }
        let record = EncodedRecord()
        RecordEncoder().encode(
            sideState: bytes, key: hash, name: name, codec: options.codec, seal: seal, into: record)
        let outcome: Outcome?
        do throws(LMDBError) {
            let bytes = SlotSize.slotBytes(holding: record.byteCount)
            outcome = try makingRoom(for: bytes, of: 1, sparing: [hash]) { (reserve) throws(LMDBError) in
                try transact(reserving: reserve) { (transaction, session) throws(LMDBError) in
                    try store(record, key, of: hash, isSealed: seal != nil, &transaction, &session)
                }
            }
        } catch {
            throw StoreError(error, path: path, options: options)
        }
        switch outcome {
        case .stored: return
        case nil:
            throw try isFileAtBound(for: SlotSize.slotBytes(holding: record.byteCount))
                ? .quotaFull(quota: quota) : .diskFull(path: path)
        case .noPage: throw .noSuchPage(hash.short)
        case .tooMany: throw .invalidSideState("a prefix has at most \(Limits.sideStates) side states")
        case .noRoom: throw .quotaFull(quota: quota)
        }
    }

    /// A side state; nil when there is none, or when it is damaged, which is counted.
    package func sideState(
        _ name: String, of hash: PrefixHash, seal: SpaceSeal? = nil
    ) throws(StoreError) -> [UInt8]? {
        guard let key = SideKey(hash, name: name)?.encoded, pending.suspects[hash] == nil else { return nil }
        let now = SystemClock.wallMilliseconds()
        let found = try reading { (transaction) throws(LMDBError) -> Stored<[UInt8]> in
            guard try transaction.isServed(pathTo: hash, tables, at: now) else { return .missing }
            return try transaction.read(tables.sides, key) { Self.decode($0, hash, name, seal) }
        }
        if case .damaged = found { pending.countDamage() }
        return found.record
    }

    /// The names of a page's side states, in the order of their bytes.
    package func sideStateNames(of hash: PrefixHash) throws(StoreError) -> [String] {
        try reading { (transaction) throws(LMDBError) in
            let prefix = hash.bytes
            let keys = try transaction.keys(tables.sides, from: prefix, limit: Limits.sideStates) {
                $0.starts(with: prefix)
            }
            return keys.compactMap { key in unsafe SideKey(key.span.bytes)?.name }
        }
    }

    private enum Outcome { case stored, noPage, tooMany, noRoom }

    private func store(
        _ record: EncodedRecord, _ key: [UInt8], of hash: PrefixHash, isSealed: Bool,
        _ transaction: inout WriteTransaction,
        _ session: inout WriteSession
    ) throws(LMDBError) -> Outcome {
        guard let node = try transaction.node(hash, tables).record, node.flags.contains(.sealed) == isSealed else {
            return .noPage
        }
        // The old state must survive if the new one finds no room, so it counts until the new one is stored.
        let old = try transaction.valueBytes(tables.sides, key)
        let names = try transaction.keys(tables.sides, from: hash.bytes, limit: Limits.sideStates) {
            $0.starts(with: hash.bytes)
        }
        guard old != nil || names.count < Limits.sideStates else { return .tooMany }
        session.spared = [hash]
        let bytes = SlotSize.slotBytes(holding: record.byteCount)
        guard try session.makeRoom(for: bytes, &transaction) else { return .noRoom }
        try session.removeSide(key, &transaction)
        try transaction.writeSlot(tables.sides, key, record.bytes, within: session.recordBound)
        session.counters.sideStates.shift(by: 1)
        session.counters.slotBytes.shift(by: bytes)
        return .stored
    }

    private static func decode(
        _ bytes: RawSpan, _ hash: PrefixHash, _ name: String, _ seal: SpaceSeal?
    ) -> [UInt8]? {
        do throws(RecordDamage) {
            guard SlotSize.fillsSlot(bytes.byteCount) else { throw .truncated }
            let record = try RecordView(sideState: bytes, key: hash, name: name, seal: seal)
            var state = [UInt8](repeating: 0, count: record.rawByteCount)
            var target = state.mutableSpan
            var room = unsafe target.mutableBytes
            try RecordDecoder().decode(blob: record, into: &room)
            return state
        } catch {
            return nil
        }
    }
}
