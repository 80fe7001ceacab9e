// Loading pages from disk straight into the caller's memory.

package import KVFormat
internal import LMDB
internal import PageCodec
internal import Threads

extension ColdTier {
    /// Raw bytes that one read transaction loads: long enough to cost nothing, short enough that freed pages are used again.
    private static let bytesPerTransaction = 64 << 20

    /// The same for a load that tells of its layers: they are complete only when all pages have been through one transaction.
    private static let layeredBytesPerTransaction = 1 << 30

    /// Raw bytes from which on it pays to wake other threads: decoding less takes no longer than waking them.
    private static let sharedBytes = 512 << 10

    /// Loads pages, each checked and decoded into its target: length, own key, header checksum, frame checksums. Frames are
    /// decoded by the calling thread and the store's own, the first layers of all pages first when `control` wants to hear of
    /// them.
    ///
    /// - Parameters:
    ///   - loads: pages of one space; `tokens` is 1 to `tokenCount` of each, and `tokenCount` itself when the layout is opaque.
    ///   - layout: the space's layout.
    ///   - control: what to tell while it runs. Of more than 1 GiB, layers are ready only in the last part; a damaged page
    ///     stops the telling.
    /// - Returns: how many of the first loads were delivered whole. The rest was evicted meanwhile, or is damaged, which is
    ///   counted and quarantined; the targets from the first that failed on may hold some bytes.
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.system`. Damage of any kind ends the delivery.
    /// - Complexity: one pass over the stored bytes.
    package func load(
        _ loads: [ColdLoad], layout: KVLayout, control: LoadControl = LoadControl()
    ) throws(StoreError) -> Int {
        var delivered = 0
        while delivered < loads.count {
            let limit = control.onLayersReady == nil ? Self.bytesPerTransaction : Self.layeredBytesPerTransaction
            let batch = Self.batch(loads[delivered...], layout, limit)
            var control = control
            if batch.endIndex < loads.endIndex { control.onLayersReady = nil }
            var count = 0
            do throws(LMDBError) {
                count = try environment.read { (transaction) throws(LMDBError) in
                    try deliver(batch, layout, control, transaction)
                }
            } catch {
                guard error.isDamage else { throw StoreError(error, path: path, options: options) }
                pending.countDamage()
            }
            delivered += count
            guard count == batch.count else { break }
        }
        return delivered
    }

    /// Calls `body` once with each number below `count`; together they move `rawBytes`. The load helpers take part when that is
    /// worth waking them.
    package func share(_ rawBytes: Int, as count: Int, _ body: @Sendable (Int) -> Void) {
        if rawBytes < Self.sharedBytes {
            for number in 0..<count { body(number) }
        } else {
            team.forEach(count, body)
        }
    }

    private static func batch(
        _ loads: ArraySlice<ColdLoad>, _ layout: KVLayout, _ limit: Int
    ) -> ArraySlice<ColdLoad> {
        var bytes = 0
        let end = loads.firstIndex { load in
            defer { bytes += layout.pageBytes(tokens: load.tokens) }
            return bytes >= limit
        }
        return loads[..<(end ?? loads.endIndex)]
    }

    /// Loads one batch inside one read transaction, which keeps the records where they are until the last frame is decoded.
    private func deliver(
        _ batch: ArraySlice<ColdLoad>, _ layout: KVLayout, _ control: LoadControl,
        _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Int {
        var pages = [Loading.Page]()
        pages.reserveCapacity(batch.count)
        for load in batch {
            guard let page = try find(load, layout, transaction) else { break }
            pages.append(page)
        }
        var control = control
        if pages.count < batch.count { control.onLayersReady = nil }
        let loading = Loading(pages, layout, control, readRate)
        let decode: @Sendable (Int) -> Void = { index in self.decoders.withItem { loading.decode(index, with: $0) } }
        share(batch.reduce(0) { $0 + layout.pageBytes(tokens: $1.tokens) }, as: loading.pieces.count, decode)
        for (index, reason) in loading.damage {
            pending.quarantine(batch[batch.startIndex + index].hash, QuarantineReason(reason))
        }
        return loading.delivered
    }

    /// Looks one page up and checks its header; nil when it is not there or not to be trusted.
    private func find(
        _ load: ColdLoad, _ layout: KVLayout, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Loading.Page? {
        guard pending.suspects[load.hash] == nil else { return nil }
        guard let bytes = try unsafe transaction.get(tables.pages, key: load.hash.bytes.span.bytes) else {
            // Evicted since the match, with its node; or the node is there and the record is not.
            if try transaction.has(tables.nodes, load.hash.bytes) { pending.quarantine(load.hash, .missingRecord) }
            return nil
        }
        precondition(load.tokens >= 1 && load.tokens <= load.tokenCount, "a load asks for tokens of its page")
        do throws(RecordDamage) {
            guard SlotSize.isSlot(bytes.byteCount) else { throw .truncated }
            let record = try RecordView(bytes, key: load.hash, layout: layout, tokens: load.tokenCount)
            let planes = (0..<record.frameCount).map { record.planes(ofFrame: $0) }
            // The bytes stay where they are until the transaction ends, and it ends after the loading.
            return unsafe bytes.withUnsafeBytes { unsafe Loading.Page(load: load, record: $0, planes: planes) }
        } catch {
            pending.quarantine(load.hash, QuarantineReason(error))
            return nil
        }
    }
}

extension QuarantineReason {
    /// The reason for a record's damage.
    init(_ damage: RecordDamage) {
        if case .undecodable = damage { self = .undecodable } else { self = .damagedRecord }
    }
}
