// A sequence that is written as it grows: its pages are hashed once and stored as they fill.

internal import HotTier
internal import KVFormat
internal import Threads

/// Writes one sequence, a few tokens at a time. Made by `Space.cursor(after:)`.
///
/// ```swift
/// let cursor = try space.cursor(after: loaded.place)
/// try cursor.append(promptTail, rows: RowMemory(planes: planes, capacity: rows, first: cursor.tokenCount))
/// for token in generated { try cursor.append([token], rows: cell(of: token)) }
/// try cursor.storeTail()
/// ```
///
/// A page is stored when its last token comes. Until then the cursor keeps a copy of its rows. Not thread-safe: one
/// cursor is used by one thread at a time. Any number of cursors may write into a space at once.
@safe
public final class SequenceCursor {
    /// Behind the whole pages of the sequence so far: where another cursor, or `Space.insert`, can go on.
    public private(set) var place: SequencePlace
    /// Tokens of the sequence so far: those before the place where it began, and those appended.
    public var tokenCount: Int { place.tokens + pending.count }

    private let space: Space
    /// The tokens behind `place`: fewer than a page.
    private var pending: [TokenID] = []
    /// Their rows, in planes with room for a page; there is none until a page is begun.
    private var room: UnsafeMutableRawPointer?

    fileprivate init(_ space: Space, after place: SequencePlace) {
        self.space = space
        self.place = place
    }

    deinit { unsafe room?.deallocate() }

    /// Appends tokens with their rows.
    ///
    /// - Parameters:
    ///   - tokens: the tokens that follow those so far.
    ///   - rows: the memory of their rows, beginning with the first of `tokens`; every plane has an address. It is not
    ///     used after the call returns.
    /// - Returns: how many whole pages were new to the store.
    /// - Throws: `.invalidTokens` when the sequence passes `Limits.tokens`; `.invalidPages` when the memory does not
    ///   fit layout or tokens; `.closed`, `.forked`. Nothing was appended then.
    /// - Complexity: one SHA-256 and one copy per page; a page that fills in several calls is copied twice. A full
    ///   spill queue makes it wait if `StoreOptions.whenQueueFull` says so.
    @discardableResult
    public func append(_ tokens: [TokenID], rows: RowMemory) throws(StoreError) -> Int {
        try space.store.checkOpen()
        guard tokens.count <= Limits.tokens - tokenCount else {
            throw .invalidTokens(count: tokenCount + tokens.count)
        }
        if let misfit = rows.misfit(tokens: 0..<tokens.count, space.layout) { throw .invalidPages(misfit) }
        guard rows.hasAllPlanes else { throw .invalidPages("a plane has no address") }
        let pageSize = space.layout.pageSize
        var fresh = 0
        var start = 0
        while start < tokens.count {
            let end = min(start + pageSize - pending.count, tokens.count)
            if end - start == pageSize {
                if store(tokens[start..<end], PageSource(rows: rows, first: start)) { fresh += 1 }
            } else {
                keep(tokens[start..<end], rows, first: start)
                if pending.count == pageSize, storePending() { fresh += 1 }
                if pending.count == pageSize { pending.removeAll(keepingCapacity: true) }
            }
            start = end
        }
        space.store.counters.insertedPages.add(UInt64(fresh))
        return fresh
    }

    /// Stores the last page as it is, if it is not whole yet. Appending goes on as before; a longer page then takes the
    /// place of this one.
    ///
    /// - Returns: whether it was new to the store.
    /// - Throws: `.invalidPages` when the layout is opaque: it has whole pages only; `.closed`, `.forked`.
    @discardableResult
    public func storeTail() throws(StoreError) -> Bool {
        try space.store.checkOpen()
        guard !pending.isEmpty else { return false }
        guard space.layout.isDivisible else { throw .invalidPages("an opaque layout has whole pages only") }
        let isNew = storePending()
        if isNew { space.store.counters.insertedPages.add(1) }
        return isNew
    }

    /// Stores a page; the place moves behind it when it is whole.
    private func store(_ tokens: ArraySlice<TokenID>, _ page: PageSource) -> Bool {
        let name = PageName(
            root: space.root, parent: place.hash, firstToken: place.tokens, tokens: tokens, seal: space.seal)
        if tokens.count == space.layout.pageSize {
            place = SequencePlace(root: space.root, hash: name.hash, tokens: place.tokens + tokens.count)
        }
        return space.insert([(name, page)], SystemClock.wallMilliseconds()) == 1
    }

    private func storePending() -> Bool {
        guard let room = unsafe room else { return false }
        return store(pending[...], unsafe PageSource(room, capacity: space.layout.pageSize))
    }

    /// Copies rows behind those that are kept.
    private func keep(_ tokens: ArraySlice<TokenID>, _ rows: RowMemory, first: Int) {
        let layout = space.layout
        let base = unsafe room ?? .allocate(byteCount: layout.bytesPerPage, alignment: 64)
        unsafe room = base
        for plane in 0..<layout.planeCount {
            let offset =
                layout.pageSize * layout.bytesPerToken(beforePlane: plane)
                + pending.count * layout.bytesPerToken(inPlane: plane)
            unsafe rows.read(first..<first + tokens.count, ofPlane: plane, layout, to: base + offset)
        }
        pending += tokens
    }
}

extension Space {
    /// A cursor that writes a sequence behind a place.
    ///
    /// - Parameter place: where to begin: what a load or an insert of the same sequence returned; nil for its first
    ///   token.
    /// - Throws: `.invalidPages` when the place lies in another space; `.closed`, `.forked`.
    public func cursor(after place: SequencePlace? = nil) throws(StoreError) -> SequenceCursor {
        try store.checkOpen()
        let place = place ?? start
        guard place.root == root else { throw .invalidPages("the place lies in another space") }
        return SequenceCursor(self, after: place)
    }
}
