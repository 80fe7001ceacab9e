// The cold tier as a tier of records: which records it has, and how it lends them where they lie in the file.

package import KVFormat
internal import LMDB
package import PageCodec
package import Records
internal import Threads

extension ColdTier: RecordTier {
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.damaged`, `.system`.
    /// - Complexity: one read transaction, two look-ups per page, one more for a page with a date.
    package func held(_ hashes: [PrefixHash], usedAt time: Int64?) throws(StoreError) -> Set<PrefixHash> {
        let suspects = pending.suspects
        let now = SystemClock.wallMilliseconds()
        let held = try reading { (transaction) throws(LMDBError) in
            var held: Set<PrefixHash> = []
            for hash in hashes where suspects[hash] == nil {
                if try transaction.isHeld(hash, tables, at: now) { held.insert(hash) }
            }
            return held
        }
        if let time { touch(Array(held), now: time, as: .insert) }
        return held
    }

    /// How many of the first of these pages or blocks are held and trusted: the walk ends at the first that is not.
    ///
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.damaged`, `.system`.
    /// - Complexity: as `held`, for those that are found and one more.
    package func leadingCount(of hashes: [PrefixHash]) throws(StoreError) -> Int {
        let suspects = pending.suspects
        let now = SystemClock.wallMilliseconds()
        return try reading { (transaction) throws(LMDBError) in
            var count = 0
            while count < hashes.count, suspects[hashes[count]] == nil,
                try transaction.isHeld(hashes[count], tables, at: now)
            {
                count += 1
            }
            return count
        }
    }

    /// Lends inside one read transaction, which keeps the records where they are. What cannot be trusted is
    /// quarantined.
    ///
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.system`.
    package func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) throws(StoreError) {
        do throws(LMDBError) {
            try environment.read { (transaction) throws(LMDBError) in
                let suspects = pending.suspects
                var records: [RecordBytes?] = []
                records.reserveCapacity(wanted.count)
                for request in wanted {
                    records.append(suspects[request.hash] == nil ? try find(request, layout, transaction) : nil)
                }
                for (index, damage) in borrower(records) {
                    pending.quarantine(wanted[index].hash, QuarantineReason(damage))
                }
            }
        } catch {
            guard error.isDamage else { throw StoreError(error, path: path, options: options) }
            pending.countDamage()
            noteDamagedTrees()
        }
    }

    package func take(_ pages: [PageRecord]) throws(StoreError) -> [TakeOutcome] { try put(pages).outcomes }

    /// Looks up one page and checks its header; nil when it is not there or cannot be trusted.
    private func find(
        _ request: RecordRequest, _ layout: KVLayout, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> RecordBytes? {
        let key = request.hash.inlineBytes
        guard let bytes = try unsafe transaction.get(tables.pages, key: key.span.bytes) else {
            // Either the page was evicted since the match, with its node, or the node is there and only the record is
            // missing.
            if try unsafe transaction.contains(tables.nodes, key: key.span.bytes) {
                pending.quarantine(request.hash, .missingRecord)
            }
            return nil
        }
        do throws(RecordDamage) {
            guard SlotSize.fillsSlot(bytes.byteCount) else { throw .truncated }
            // The bytes stay where they are until the transaction ends, and it ends after the borrower.
            return try unsafe RecordBytes(
                borrowing: bytes, key: request.hash, layout: layout, tokens: request.tokenCount, seal: request.seal)
        } catch {
            pending.quarantine(request.hash, QuarantineReason(error))
            return nil
        }
    }
}

extension ReadTransaction {
    /// Whether a page or block has its record and a sound node without a date that has passed.
    fileprivate func isHeld(_ hash: PrefixHash, _ tables: Tables, at now: Int64) throws(LMDBError) -> Bool {
        guard try has(tables.pages, hash.bytes) else { return false }
        return try servedNode(hash, tables, at: now) != nil
    }
}

extension QuarantineReason {
    /// The reason for a record's damage.
    init(_ damage: RecordDamage) {
        if case .undecodable = damage { self = .undecodable } else { self = .damagedRecord }
    }
}
