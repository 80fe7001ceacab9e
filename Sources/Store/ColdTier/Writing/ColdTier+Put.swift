// Storing pages and blocks: a batch is one transaction, or a few when it is large.

package import KVFormat
internal import LMDB
package import Records
internal import Threads

extension ColdTier {
    /// Stores pages and blocks; durable when this returns. Pages that are there already cost one look-up and count as
    /// used.
    ///
    /// A page's parent must be in the store already, or come earlier in the batch. Room is made first, so that the
    /// store never passes its quota. The batch is cut so that one transaction writes at most a 32nd of the quota,
    /// 64 MiB, or one page: LMDB reuses what a transaction frees only two transactions later, and the file would grow
    /// by as much. The transaction also writes the uses and suspects that readers left. A new page replaces an old one
    /// whose date has passed, together with all that follow the old one.
    ///
    /// On a full disk, pages are evicted until the new ones fit into what the disk holds: see `makingRoom`.
    ///
    /// - Parameters:
    ///   - batch: the pages and blocks.
    ///   - kept: others that must not be evicted for them; then none of the batch is evicted for the rest of it either.
    ///     With nil, only parents of what is to come are spared.
    /// - Returns: what became of each page. `.noRoom` and `.orphan` are not errors: the engine will compute the page
    ///   again.
    /// - Throws: `.diskFull` when the disk is full and nothing is left to evict, `.mapFull`: the transaction that
    ///   failed stored nothing, earlier ones did, and nothing that was stored is lost. `.damaged`, `.closed`,
    ///   `.forked`, `.system`.
    /// - Complexity: waits for the writers of other processes, and syncs each transaction twice.
    package func put(_ batch: [PageRecord], keeping kept: Set<PrefixHash>? = nil) throws(StoreError) -> PutReport {
        var report = PutReport()
        let own = kept == nil ? [] : Set(batch.map(\.name.hash))
        for slice in slices(of: batch) {
            let before = report
            let spared = slice.parents.union(own)
            do throws(LMDBError) {
                let stored = try makingRoom(
                    for: slice.cost, of: slice.count, sparing: spared, keeping: kept ?? []
                ) { (reserve) throws(LMDBError) in
                    try put(slice, sparing: spared, keeping: kept ?? [], reserving: reserve, adding: before)
                }
                if let stored {
                    report = stored
                } else {
                    report.outcomes += slice.map { _ in .noRoom }
                }
            } catch {
                throw StoreError(error, path: path, options: options)
            }
        }
        let refused = report.outcomes.count(where: { $0 == .noRoom })
        refusals.withLock { $0.refused += refused }
        return report
    }

    /// Cuts a batch by the size of its pages: at most a 32nd of the quota, and no more than LMDB should hold in
    /// memory at once.
    private func slices(of batch: [PageRecord]) -> [ArraySlice<PageRecord>] {
        let limit = min(Int(quota.value / 32), Limits.transactionBytes)
        var slices: [ArraySlice<PageRecord>] = []
        var start = 0
        var cost = 0
        for (index, page) in batch.enumerated() {
            if index > start, cost + page.cost > limit || index - start >= Limits.transactionEntries {
                slices.append(batch[start..<index])
                start = index
                cost = 0
            }
            cost += page.cost
        }
        if start < batch.count { slices.append(batch[start...]) }
        return slices
    }

    /// From this size on it pays to let the disk start before the commit syncs. A smaller transaction is written before
    /// the first nudge.
    private static let earlyBytes = 4 << 20

    private func put(
        _ slice: ArraySlice<PageRecord>, sparing spared: Set<PrefixHash>, keeping kept: Set<PrefixHash>,
        reserving bytes: Int, adding report: PutReport
    ) throws(LMDBError) -> PutReport {
        var changed = report
        let isLarge = slice.cost >= Self.earlyBytes
        defer { if isLarge { writeback.end() } }
        try writePending(
            touchLimit: Limits.transactionEntries, reserving: bytes
        ) { (transaction, session) throws(LMDBError) in
            changed = report
            if isLarge {
                transactionMemory.reserve()
                writeback.begin(environment)
            }
            // If eviction took a parent to make room for another page of the batch, the parent's child would become an
            // orphan.
            session.spared = spared
            session.kept = kept
            session.cushion = cushion.current
            for page in slice {
                let outcome = try store(page, &transaction, &session, &changed)
                changed.outcomes.append(outcome)
            }
            changed.evicted += session.evicted
        }
        return changed
    }

    private func store(
        _ page: PageRecord, _ transaction: inout WriteTransaction, _ session: inout WriteSession,
        _ report: inout PutReport
    ) throws(LMDBError) -> TakeOutcome {
        let hash = page.name.hash
        if try transaction.has(tables.pages, hash.bytes), try transaction.node(hash, tables).record != nil {
            try session.liftPassedDate(of: hash, &transaction)
            try session.touch(hash, Touch(.insert, at: page.lastUse), &transaction)
            session.spared.insert(hash)
            return .alreadyThere
        }
        guard let space = try openedSpace(page.name.root, &session, &transaction), space.takes(page.name) else {
            return .orphan
        }
        let layout = space.descriptor.layout
        guard page.isSound(layout) else { return .invalid }
        guard let place = try place(of: page.name, &transaction) else { return .orphan }
        guard place < Limits.tokens else { return .invalid }
        // A damaged or partly removed page of this hash may have left entries.
        try session.remove(hash, &transaction)
        guard try session.makeRoom(for: page.cost, &transaction) else { return .noRoom }
        if page.name.isBlock {
            try session.insert(page, at: place, .block, &transaction)
        } else {
            report.replacedTails += try session.replaceTails(of: page.name, &transaction)
            try session.insert(page, at: place, page.name.tokens.count < layout.pageSize ? .tail : [], &transaction)
        }
        report.rawBytes += page.bytes.rawBytes
        report.encodedBytes += page.bytes.encodedBytes
        report.slotBytes += SlotSize.slotBytes(holding: page.bytes.encodedBytes)
        return .stored
    }

    /// Where a page begins, or how many blocks come before a block: behind its parent, which must be there and whole,
    /// and end where the page begins. Nil when it is not.
    private func place(of name: PageName, _ transaction: inout WriteTransaction) throws(LMDBError) -> Int? {
        guard name.parent != name.root else { return name.firstToken == 0 ? 0 : nil }
        guard let parent = try transaction.node(name.parent, tables).record, parent.root == name.root,
            !parent.flags.contains(.tail), parent.flags.contains(.sealed) == (name.seal != nil),
            parent.flags.contains(.block) == name.isBlock
        else { return nil }
        if name.isBlock { return Int(parent.firstToken) + 1 }
        return Int(parent.firstToken) + Int(parent.tokenCount) == name.firstToken ? name.firstToken : nil
    }
}

extension SpaceRecord {
    /// Whether a page of this name belongs into the space: sealed or not as the space is, and not after its data key
    /// was destroyed.
    fileprivate func takes(_ name: PageName) -> Bool {
        name.seal == nil ? wrappedKey.isEmpty : WrappedKey(wrappedKey) != nil
    }
}

extension ArraySlice<PageRecord> {
    /// Bytes that the pages take of the quota.
    fileprivate var cost: Int { reduce(0) { $0 + $1.cost } }

    /// The pages that they follow.
    fileprivate var parents: Set<PrefixHash> { Set(map(\.name.parent)) }
}

extension PageRecord {
    /// Bytes that the page or block takes of the quota.
    fileprivate var cost: Int {
        SlotSize.slotBytes(holding: bytes.encodedBytes) + NodeRecord.indexBytes(of: name)
    }

    /// Whether hash, tokens, position and record belong together, or hash, key and record of a block.
    fileprivate func isSound(_ layout: KVLayout) -> Bool {
        guard bytes.isSealed == (name.seal != nil) else { return false }
        guard !name.isBlock else {
            return Limits.blockKey.contains(name.blockKey.count) && bytes.isRecord(of: name, layout) && name.isSound
        }
        return name.firstToken >= 0 && name.firstToken + name.tokens.count <= Limits.tokens
            && name.firstToken % layout.pageSize == 0 && bytes.isRecord(of: name, layout) && name.isSound
    }
}
