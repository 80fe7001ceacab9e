// Insert: new pages into the hot tier, and on their way to the cold one.

internal import ColdTier
internal import HotTier
internal import Threads

extension Space {
    /// Stores pages behind a prefix that the store holds.
    ///
    /// The pages are readable in RAM when the call returns; the store's own thread writes them to disk as the write
    /// policy says, and `flush()` waits for that. Pages that are stored already cost one look-up, so a repeated call is
    /// harmless.
    ///
    /// - Parameters:
    ///   - tokens: the sequence up to the end of the last page given; its beginning names the prefix.
    ///   - fromPage: index of the first page given.
    ///   - pages: page `fromPage + i` of the sequence each. The last is a tail when `tokens.count` is no multiple of
    ///     the page size; opaque layouts have no tails. The memory is not used after the call returns.
    /// - Returns: how many pages were new to this process's hot tier, or on their way to disk without it.
    /// - Throws: `.invalidTokens`, `.invalidPages`, `.closed`. Nothing was stored then.
    /// - Complexity: one copy of each new page; a full spill queue makes it wait if `whenQueueFull` says so.
    @discardableResult
    public func insert(_ tokens: [TokenID], fromPage: Int = 0, pages: [PageSource]) throws(StoreError) -> Int {
        try check(tokens)
        let total = (tokens.count + layout.pageSize - 1) / layout.pageSize
        guard fromPage >= 0, fromPage + pages.count == total else {
            throw .invalidPages("\(pages.count) pages from page \(fromPage) on do not end \(tokens.count) tokens")
        }
        guard layout.isDivisible || tokens.count % layout.pageSize == 0 else {
            throw .invalidPages("an opaque layout has whole pages only")
        }
        for (index, source) in pages.enumerated() {
            let held = min(layout.pageSize, tokens.count - (fromPage + index) * layout.pageSize)
            let misfit = source.memory.misfit(tokens: held, layout)
            if let misfit { throw .invalidPages("page \(index): \(misfit)") }
        }
        let now = SystemClock.wallMilliseconds()
        let before = tokens[..<(fromPage * layout.pageSize)]
        var parent = PrefixHash.chain(from: root, tokens: before, pageSize: layout.pageSize).last ?? root
        var fresh = 0
        for (index, source) in pages.enumerated() {
            let start = (fromPage + index) * layout.pageSize
            let end = min(start + layout.pageSize, tokens.count)
            let hash = PrefixHash.page(after: parent, tokens: tokens[start..<end])
            if insertPage(tokens[..<end], page: fromPage + index, hash, parent, source, now) { fresh += 1 }
            parent = hash
        }
        store.counters.insertedPages.add(UInt64(fresh))
        return fresh
    }

    private func insertPage(
        _ tokens: ArraySlice<TokenID>, page: Int, _ hash: PrefixHash, _ parent: PrefixHash, _ source: PageSource,
        _ now: Int64
    ) -> Bool {
        switch hot.insert(
            tokens, pageIndex: page, hash: hash, parent: parent, source: source, now: now, isStored: false)
        {
        case .inserted:
            if store.options.writePolicy == .writeThrough { store.spiller.spill(pathTo: hash) }
            return true
        case .alreadyThere:
            return false
        case .noRoom, .orphan:
            return spillWithoutHotPage(tokens, page: page, hash, parent, source, now)
        }
    }

    /// A page that the hot tier cannot take goes straight to disk from a copy: a small hot tier must not cost
    /// durability.
    private func spillWithoutHotPage(
        _ tokens: ArraySlice<TokenID>, page: Int, _ hash: PrefixHash, _ parent: PrefixHash, _ source: PageSource,
        _ now: Int64
    ) -> Bool {
        if case .afterHits = store.options.writePolicy { return false }
        if (try? store.cold.contains(hash)) == true { return false }
        store.spiller.spill(pathTo: parent)
        let start = page * layout.pageSize
        let copy = PageCopy(source, tokens: tokens.count - start, layout)
        let job = SpillJob(
            hash: hash, parent: parent, root: root, firstToken: start, tokens: Array(tokens[start...]), layout: layout,
            now: now, uses: 1, source: copy.source, keepAlive: copy, onDone: nil)
        return store.writer.enqueue(job) == .queued
    }
}

/// A page's bytes in memory of its own, for as long as the spill queue needs them.
@safe
final class PageCopy: @unchecked Sendable {
    // Unchecked because the bytes are written once, in `init`.
    private let base: UnsafeMutableRawPointer
    let source: PageSource

    init(_ page: PageSource, tokens: Int, _ layout: KVLayout) {
        unsafe base = .allocate(byteCount: layout.pageBytes(tokens: tokens), alignment: 64)
        let target = unsafe PageTarget(base, capacity: tokens)
        target.copy(tokens: tokens, from: page, layout)
        source = target.source
    }

    deinit { unsafe base.deallocate() }
}
