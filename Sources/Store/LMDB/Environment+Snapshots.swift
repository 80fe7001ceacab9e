// Which trees a transaction sees.

import CLMDB
import Glibc
import Synchronization
internal import Threads

/// What an environment remembers of the last commit that one of its transactions saw.
final class Snapshots: Sendable {
    private struct State {
        var tables: [Table] = []
        var last: Snapshot?
    }
    private let state = Guarded(State())
    /// The commit whose free list this process has checked, or has written itself.
    let checkedFreeList = Atomic<Int>(-1)

    /// Enters tables that were opened.
    func add(_ tables: [Table]) {
        state.withLock { state in
            state.tables += tables.filter { !state.tables.contains($0) }
            state.last = nil
        }
    }

    /// The trees of commit `number`; nil when its meta page has been written over since, or is damaged.
    ///
    /// - Throws: `.damaged` when the tree of tables is not sound.
    /// - Complexity: one lock; for a commit that was not seen before also a check of one or a few pages.
    func snapshot(_ number: Int, _ map: MapRegion, limit: Int, pageSize: Int) throws(LMDBError) -> Snapshot? {
        let (tables, last) = state.withLock { ($0.tables, $0.last) }
        guard limit >= 2 * pageSize else { throw .damaged("the data file is cut short") }
        let page = UInt64(number) % 2
        let start = unsafe map.start + Int(page) * pageSize
        // A commit whose meta page could not be written to its end is taken back, and another gets its number.
        if let last, last.transaction == number, unsafe last.meta.hasRoots(of: start) { return last }
        let bytes = unsafe UnsafeRawBufferPointer(start: start, count: MetaPage.byteCount)
        // A writer may be writing the page at this moment: then it reads differently the second time.
        guard let meta = unsafe MetaPage(bytes, number: page), meta.isWhole, meta.pageSize == pageSize,
            meta.transaction == UInt64(number), unsafe MetaPage(bytes, number: page) == meta
        else { return nil }
        let pages = unsafe PageMap(
            start: map.start, pageSize: pageSize, count: min(UInt64(limit / pageSize), meta.lastPage + 1))
        let snapshot = try Snapshot(meta, in: pages, handles: tables)
        state.withLock { state in
            if state.tables == tables { state.last = snapshot }
        }
        return snapshot
    }
}

extension Environment {
    /// What a transaction needs besides LMDB's handle; nil when its meta page has been written over since it began, and
    /// another must be begun.
    func core(
        _ transaction: OpaquePointer, of opened: Opened, isWriting: Bool
    ) throws(LMDBError) -> TransactionCore? {
        let map = opened.map
        let limit = min(map.byteCount, max(try fileBytes(of: opened), coveredBytes))
        let number = unsafe Int(clamping: mdb_txn_id(transaction)) - (isWriting ? 1 : 0)
        guard let snapshot = try snapshots.snapshot(number, map, limit: limit, pageSize: pageSize) else { return nil }
        let pages = unsafe PageMap(
            start: map.start, pageSize: pageSize, count: min(UInt64(limit / pageSize), snapshot.lastPage + 1))
        if isWriting, snapshots.checkedFreeList.load(ordering: .relaxed) != number {
            // LMDB takes pages off this list and writes into them.
            try pages.freePages(snapshot.freeList) { (_) throws(LMDBError) in }
        }
        return unsafe TransactionCore(
            handle: transaction, map: map, limit: limit, descriptor: descriptor, pageSize: pageSize, pages: pages,
            snapshot: snapshot, writeGuard: isWriting ? WriteGuard(pages, snapshot) : nil)
    }
}
