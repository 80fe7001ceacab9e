// Storing pages and blocks: a batch is one transaction, or a few when it is large.

internal import Glibc
package import KVFormat
internal import LMDB
package import Records

extension ColdTier {
    /// Stores pages and blocks; durable when this returns. Pages that are there already cost one look-up and count as
    /// used.
    ///
    /// A page's parent must be in the store already, or come earlier in the batch. Room is made first, so that the
    /// store never passes its quota. The batch is cut so that one transaction writes at most a sixteenth of the quota,
    /// 64 MiB, or one page: LMDB reuses what a transaction frees only two transactions later, and the file would grow
    /// by as much. The transaction also writes the uses and suspects that readers left. A new page replaces an old one
    /// whose date has passed, together with all that follow the old one.
    ///
    /// - Returns: what became of each page. `.noRoom` and `.orphan` are not errors: the engine will compute the page
    ///   again.
    /// - Throws: `.diskFull`, `.mapFull`: the transaction that failed stored nothing, earlier ones did, and nothing
    ///   that was stored is lost. `.damaged`, `.closed`, `.forked`, `.system`.
    /// - Complexity: waits for the writers of other processes, and syncs each transaction twice.
    package func put(_ batch: [PageRecord]) throws(StoreError) -> PutReport {
        var report = PutReport()
        for slice in slices(of: batch) {
            do throws(LMDBError) {
                do throws(LMDBError) {
                    guard try hasDisk(for: slice) else { throw .code(ENOSPC, call: "fallocate") }
                    try put(slice, &report)
                } catch {
                    guard error.isFull else { throw error }
                    try putAfterMakingRoom(slice, &report)
                }
            } catch {
                throw StoreError(error, path: path, options: options)
            }
        }
        return report
    }

    /// Cuts a batch by the size of its pages: at most a sixteenth of the quota, and no more than LMDB should hold in
    /// memory at once.
    private func slices(of batch: [PageRecord]) -> [ArraySlice<PageRecord>] {
        let limit = min(Int(quota.value / 16), Limits.transactionBytes)
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

    private func put(_ slice: ArraySlice<PageRecord>, _ report: inout PutReport) throws(LMDBError) {
        var changed = report
        let isLarge = slice.reduce(0) { $0 + $1.cost } >= Self.earlyBytes
        if isLarge { transactionMemory.reserve() }
        defer { if isLarge { writeback.end() } }
        try writePending(touchLimit: Limits.transactionEntries) { (transaction, session) throws(LMDBError) in
            changed = report
            if isLarge { writeback.begin(environment) }
            // If eviction took a parent to make room for another page of the batch, the parent's child would become an
            // orphan.
            session.spared = Set(slice.map(\.name.parent))
            for page in slice {
                let outcome = try store(page, &transaction, &session, &changed)
                changed.outcomes.append(outcome)
            }
            changed.evicted += session.evicted
        }
        report = changed
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
        guard let space = try session.space(page.name.root, &transaction), space.wrappedKey.isEmpty else {
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
            parent.flags.isDisjoint(with: [.tail, .sealed]), parent.flags.contains(.block) == name.isBlock
        else { return nil }
        if name.isBlock { return Int(parent.firstToken) + 1 }
        return Int(parent.firstToken) + Int(parent.tokenCount) == name.firstToken ? name.firstToken : nil
    }

    /// Whether the disk has room for a slice, and then for an eviction: behind the file's last page, or in it. Eviction
    /// writes too, so a file that fills the disk to its last page could never give anything up again.
    private func hasDisk(for slice: ArraySlice<PageRecord>) throws(LMDBError) -> Bool {
        let bytes = 2 * slice.reduce(0) { $0 + $1.cost }
        if try environment.reserveDisk(bytes + Self.evictionBytes) { return true }
        let info = try environment.info()
        return info.freePages >= bytes / info.pageSize
    }

    /// What a transaction that evicts a few pages writes, generously: a dozen pages of LMDB for each.
    private static let evictionBytes = 512 << 10

    /// A full disk cannot hold more than it does: pages go so that others can come, more and more of them until the new
    /// ones fit, since a record needs a run of neighbouring pages of LMDB.
    ///
    /// - Throws: an error with `isFull` when nothing is left to go.
    private func putAfterMakingRoom(_ slice: ArraySlice<PageRecord>, _ report: inout PutReport) throws(LMDBError) {
        let wanted = 2 * slice.reduce(0) { $0 + $1.cost }
        var step = wanted
        var freed = 0
        while true {
            let given: Int
            do throws(LMDBError) {
                given = try giveUp(step, for: slice)
            } catch {
                // What eviction itself writes found no room: fewer pages at once.
                guard error.isFull, step > 1 else { throw error }
                step /= 4
                continue
            }
            freed += given
            if given > 0, freed < wanted { continue }
            do throws(LMDBError) {
                return try put(slice, &report)
            } catch {
                guard error.isFull, given > 0 else { throw error }
                freed = 0
            }
        }
    }

    /// Evicts `bytes` bytes. What they leave can be used two transactions later, hence the two small ones.
    ///
    /// - Returns: bytes evicted; 0 when all that is left is pinned or spared.
    private func giveUp(_ bytes: Int, for slice: ArraySlice<PageRecord>) throws(LMDBError) -> Int {
        let given = try transact { (transaction, session) throws(LMDBError) -> Int in
            session.spared = Set(slice.map(\.name.parent))
            let used = session.counters.usedBytes
            _ = try session.makeRoom(for: bytes, within: used, &transaction)
            return Int(clamping: used &- min(used, session.counters.usedBytes))
        }
        for _ in 0..<2 { try transact { (_, _) throws(LMDBError) in } }
        return given
    }
}

extension PageRecord {
    /// Bytes that the page or block takes of the quota.
    fileprivate var cost: Int {
        SlotSize.slotBytes(holding: bytes.encodedBytes) + NodeRecord.indexBytes(of: name)
    }

    /// Whether hash, tokens, position and record belong together, or hash, key and record of a block.
    fileprivate func isSound(_ layout: KVLayout) -> Bool {
        guard !name.isBlock else {
            return Limits.blockKey.contains(name.blockKey.count) && bytes.isRecord(of: name, layout) && name.isSound
        }
        return name.firstToken >= 0 && name.firstToken + name.tokens.count <= Limits.tokens
            && name.firstToken % layout.pageSize == 0 && bytes.isRecord(of: name, layout) && name.isSound
    }
}
