// Insert: new pages into the hot tier, and on their way to the cold one.

internal import ColdTier
internal import HotTier
internal import Threads

/// What an insert did.
public struct Inserted: Hashable, Sendable {
    /// Pages that were new to this process's hot tier, or on their way to disk without it.
    public let newPages: Int
    /// Where the sequence goes on: behind the whole pages that were given. The next insert of the same sequence takes it.
    public let place: SequencePlace
}

extension Space {
    /// Stores the pages of a sequence behind a place.
    ///
    /// The pages are readable in RAM when the call returns; the store's own thread writes them to disk as the write policy
    /// says, and `flush()` waits for that. Pages that are stored already cost one look-up, so a repeated call is harmless.
    ///
    /// ```swift
    /// let loaded = match.load(into: targets)
    /// // compute the KV of prompt[loaded.tokens...], then:
    /// try space.insert(prompt, after: loaded.place) { unsafe PageSource(memory.page($0), capacity: 64) }
    /// ```
    ///
    /// - Parameters:
    ///   - tokens: the sequence from its first token up to the end of the last page to store. The last page is a tail when
    ///     their number is no multiple of the page size; opaque layouts have no tails.
    ///   - place: where to begin: what a load or an insert of the same sequence returned; nil for its first page.
    ///   - page: the memory of the page with this index in the sequence. It is not used after the call returns.
    /// - Returns: how many pages were new, and where the sequence goes on.
    /// - Throws: `.invalidTokens`, `.invalidPages`, `.closed`. Nothing was stored then.
    /// - Complexity: one copy of each new page; a full spill queue makes it wait if `whenQueueFull` says so.
    @discardableResult
    public func insert(
        _ tokens: ArraySlice<TokenID>, after place: SequencePlace? = nil, page: (_ index: Int) -> PageSource
    ) throws(StoreError) -> Inserted {
        try check(tokens)
        var place = place ?? start
        guard place.root == root, place.tokens <= tokens.count else {
            throw .invalidPages("the place lies in another space, or behind the \(tokens.count) tokens")
        }
        guard layout.isDivisible || tokens.count % layout.pageSize == 0 else {
            throw .invalidPages("an opaque layout has whole pages only")
        }
        assert(prefixHash(tokens.prefix(place.tokens)) == place.hash, "the place lies in another sequence")
        let now = SystemClock.wallMilliseconds()
        var hash = place.hash
        var fresh = 0
        for start in stride(from: place.tokens, to: tokens.count, by: layout.pageSize) {
            let end = min(start + layout.pageSize, tokens.count)
            let parent = hash
            let sequence = tokens.prefix(end)
            let index = start / layout.pageSize
            hash = PrefixHash.page(after: parent, tokens: sequence.dropFirst(start))
            if insertPage(sequence, page: index, hash, parent, page(index), now) { fresh += 1 }
            if end - start == layout.pageSize { place = SequencePlace(root: root, hash: hash, tokens: end) }
        }
        store.counters.insertedPages.add(UInt64(fresh))
        return Inserted(newPages: fresh, place: place)
    }

    /// As `insert(_:after:page:)` of a slice, for a whole array.
    @discardableResult
    public func insert(
        _ tokens: [TokenID], after place: SequencePlace? = nil, page: (_ index: Int) -> PageSource
    ) throws(StoreError) -> Inserted {
        try insert(tokens[...], after: place, page: page)
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

    /// A page that the hot tier cannot take goes straight to disk from a copy: a small hot tier must not cost durability.
    private func spillWithoutHotPage(
        _ tokens: ArraySlice<TokenID>, page: Int, _ hash: PrefixHash, _ parent: PrefixHash, _ source: PageSource,
        _ now: Int64
    ) -> Bool {
        if case .afterHits = store.options.writePolicy { return false }
        if (try? store.cold.contains(hash)) == true { return false }
        store.spiller.spill(pathTo: parent)
        let start = page * layout.pageSize
        let copy = QueuedPage(source, tokens: tokens.count - start, layout)
        let job = SpillJob(
            hash: hash, parent: parent, root: root, firstToken: start, tokens: Array(tokens.dropFirst(start)),
            layout: layout,
            now: now, uses: 1, source: copy.source, keepAlive: copy, onDone: nil)
        return store.writer.enqueue(job) == .queued
    }
}

/// A page's bytes in memory of its own, for as long as the spill queue needs them.
@safe
final class QueuedPage: @unchecked Sendable {
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
