// Loading pages from disk straight into the caller's memory.

package import KVFormat
internal import LMDB
internal import PageCodec

extension ColdTier {
    /// Raw bytes that one read transaction loads: long enough to cost nothing, short enough that freed pages are used again.
    private static let bytesPerTransaction = 64 << 20

    /// Loads pages, in order, each checked and decoded into its target: length, own key, header checksum, frame checksums.
    ///
    /// - Parameters:
    ///   - loads: pages of one space; `tokens` is 1 to `tokenCount` of each, and `tokenCount` itself when the layout is opaque.
    ///   - layout: the space's layout.
    /// - Returns: how many of the first loads were delivered whole. The rest was evicted meanwhile, or is damaged, which is
    ///   counted and quarantined; the target of the first that failed may hold some bytes of it.
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.system`. Damage of any kind ends the delivery.
    /// - Complexity: one pass over the stored bytes, on the calling thread; call it from several threads for several parts.
    package func load(_ loads: [ColdLoad], layout: KVLayout) throws(StoreError) -> Int {
        var delivered = 0
        while delivered < loads.count {
            let batch = Self.batch(loads[delivered...], layout)
            var count = 0
            do throws(LMDBError) {
                try decoders.withDecoder { (decoder) throws(LMDBError) in
                    try environment.read { (transaction) throws(LMDBError) in
                        for load in batch {
                            guard try deliver(load, layout, decoder, transaction) else { break }
                            count += 1
                        }
                    }
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

    private static func batch(_ loads: ArraySlice<ColdLoad>, _ layout: KVLayout) -> ArraySlice<ColdLoad> {
        var bytes = 0
        let end = loads.firstIndex { load in
            defer { bytes += layout.pageBytes(tokens: load.tokens) }
            return bytes >= bytesPerTransaction
        }
        return loads[..<(end ?? loads.endIndex)]
    }

    private func deliver(
        _ load: ColdLoad, _ layout: KVLayout, _ decoder: RecordDecoder, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Bool {
        guard pending.suspects[load.hash] == nil else { return false }
        guard let bytes = try unsafe transaction.get(tables.pages, key: load.hash.bytes.span.bytes) else {
            // Evicted since the match, with its node; or the node is there and the record is not.
            if try transaction.has(tables.nodes, load.hash.bytes) { pending.quarantine(load.hash, .missingRecord) }
            return false
        }
        do throws(RecordDamage) {
            guard SlotSize.isSlot(bytes.byteCount) else { throw .truncated }
            let record = try RecordView(bytes, key: load.hash, layout: layout, tokens: load.tokenCount)
            precondition(load.tokens >= 1 && load.tokens <= load.tokenCount, "a load asks for tokens of its page")
            try decoder.decode(record, tokens: load.tokens, into: load.target)
            return true
        } catch {
            pending.quarantine(load.hash, QuarantineReason(error))
            return false
        }
    }
}

extension QuarantineReason {
    /// The reason for a record's damage.
    init(_ damage: RecordDamage) {
        if case .undecodable = damage { self = .undecodable } else { self = .damagedRecord }
    }
}
