// Load: the pages of a match into the caller's memory.

internal import ColdTier
internal import HotTier
internal import Records
internal import Threads

/// What a load delivered: the first `tokens` tokens of the sequence lie in the caller's memory, byte for byte as
/// inserted.
public struct Loaded: Hashable, Sendable {
    /// Tokens delivered, by the tier that gave them: those from RAM, then those from disk and from the remote.
    public internal(set) var tokensByTier = TokensByTier()
    /// Where to store what is computed next: behind the whole pages that were delivered. `Space.insert` takes it.
    public internal(set) var place: SequencePlace
    /// Whether the time was up before everything was delivered.
    public internal(set) var isLate = false
    /// Tokens delivered.
    public var tokens: Int { tokensByTier.total }
}

extension Match {
    /// Decodes the pages of the match into the caller's memory.
    ///
    /// - Parameters:
    ///   - targets: one per page, in order; target `i` receives the tokens of page `i`. Fewer targets load fewer pages.
    ///   - count: at most this many tokens; nil loads all. An engine that needs logits leaves out the last prompt
    ///     token. Of an opaque layout only whole pages are loaded.
    ///   - limit: how long the disk may take; nil for as long as it takes. When the time is up, what was delivered
    ///     until then is the result, and `isLate`. The reading goes on without this caller, so that the next one finds
    ///     the bytes in memory. Loads of pages in RAM are not cut short.
    ///   - onLayersReady: called, from the store's threads or this one, with a rising number of layers whose planes are
    ///     complete in all pages, so that an engine can compute with the first layers while the rest is loaded. A
    ///     reported layer is valid only if the load then delivers everything that was requested.
    ///   - isCancelled: asked now and then, from the same threads; true ends the load early.
    /// - Throws: `.invalidPages` when a target has no room for the tokens that would go there, or another number of
    ///   planes than the layout; nothing was written then.
    /// - Returns: how much was delivered. Less than the match when a page turned out damaged or was evicted meanwhile;
    ///   the targets after that hold nothing of use.
    /// - Complexity: one decode per page, or one copy of a page that is not encoded yet; a cold page may be kept in RAM
    ///   afterwards, as `options.promotes` says.
    public func load(
        into targets: [PageTarget], limit count: Int? = nil, within limit: Duration? = nil,
        onLayersReady: (@Sendable (_ layers: Int) -> Void)? = nil, isCancelled: (@Sendable () -> Bool)? = nil
    ) throws(StoreError) -> Loaded {
        let layout = space.layout
        var wanted = min(tokenCount, count ?? tokenCount, targets.count * layout.pageSize)
        if !layout.isDivisible { wanted -= wanted % layout.pageSize }
        guard wanted > 0 else { return Loaded(place: space.start) }
        let part = MatchPart(tokens: 0..<wanted, pageSize: layout.pageSize)
        for page in part.pages {
            let misfit = targets[page].memory.misfit(tokens: part.end(inPage: page), layout)
            if let misfit { throw .invalidPages("page \(page): \(misfit)") }
        }
        let control = LoadControl(onLayersReady: onLayersReady, isCancelled: isCancelled)
        return deliver(part, targets, control, before: limit.map { Deadline.after($0) })
    }

    /// Copies some tokens of the match, from their first to their last, to rows that may lie anywhere.
    ///
    /// ```swift
    /// // The first 512 tokens are in the engine already; row 0 of each plane is for token 512.
    /// let loaded = try match.load(512..<match.tokenCount, into: RowMemory(planes: planes, capacity: rows))
    /// ```
    ///
    /// - Parameters:
    ///   - range: tokens of the match. Of an opaque layout, whole pages.
    ///   - rows: memory for at least as many tokens; its first is for the first of `range`. Planes without an address
    ///     are neither decoded nor written.
    ///   - limit: how long the disk may take, as in `load(into:)`. When the time is up, what was delivered
    ///     until then is the result, and `isLate`. The reading goes on without this caller, so that the next one finds
    ///     the bytes in memory. Loads of pages in RAM are not cut short.
    ///   - isCancelled: asked now and then, from several threads; true ends the load early.
    /// - Throws: `.invalidPages` when the range is not one of the match, or the memory does not fit the layout or the
    ///   range; nothing was written then.
    /// - Returns: how much was delivered, from the beginning of `range`. Less than `range` when a page turned out
    ///   damaged or was evicted meanwhile; the rows after that hold nothing of use.
    /// - Complexity: as `load(into:limit:onLayersReady:isCancelled:)`. Rows without gaps, in the order of the tokens,
    ///   cost no copy more than pages do; others are copied once more.
    public func load(
        _ range: Range<Int>, into rows: RowMemory, within limit: Duration? = nil,
        isCancelled: (@Sendable () -> Bool)? = nil
    ) throws(StoreError) -> Loaded {
        let layout = space.layout
        guard range.lowerBound >= 0, range.upperBound <= tokenCount else {
            throw .invalidPages("tokens \(range) of a match of \(tokenCount)")
        }
        if let misfit = rows.misfit(tokens: 0..<range.count, layout) { throw .invalidPages(misfit) }
        let part = MatchPart(tokens: range, pageSize: layout.pageSize)
        guard layout.isDivisible || part.isOfWholePages else {
            throw .invalidPages("an opaque layout has whole pages only")
        }
        guard !range.isEmpty else { return Loaded(place: place(after: range.lowerBound)) }
        let targets = part.pages.map { page in
            let skipped = part.skipped(inPage: page)
            let first = page * layout.pageSize + skipped - range.lowerBound
            return PageTarget(
                rows: rows, tokens: first..<first + part.end(inPage: page) - skipped, skipped: skipped, layout)
        }
        let control = LoadControl(isCancelled: isCancelled)
        return deliver(part, targets, control, before: limit.map { Deadline.after($0) })
    }

    /// Delivers a part of the match to the targets of its pages, which have room.
    private func deliver(
        _ part: MatchPart, _ targets: [PageTarget], _ control: LoadControl, before deadline: Deadline?
    ) -> Loaded {
        let start = SystemClock.monotonicNanoseconds()
        var loaded = Loaded(place: space.start)
        let pages = part.pages
        let hot = pages.clamped(to: 0..<hotPages)
        let goesOn = pages.upperBound > hotPages
        var hotControl = control
        if goesOn { hotControl.onLayersReady = nil }
        let count = loadHot(hot, of: part, targets, hotControl)
        loaded.tokensByTier.hot = hot.prefix(count).reduce(0) { $0 + part.count(inPage: $1) }
        let hotTime = SystemClock.monotonicNanoseconds() - start
        let mine = hotPages + cold.count
        if goesOn, count == hot.count, !cold.isEmpty, pages.lowerBound < mine {
            let cold = pages.clamped(to: hotPages..<mine)
            let rest = Array(targets.dropFirst(hot.count).prefix(cold.count))
            // Layers are complete only when those of the remote's pages are.
            var ownControl = control
            if pages.upperBound > mine { ownControl.onLayersReady = nil }
            loaded.tokensByTier.cold = loadCold(cold, of: part, rest, ownControl, before: deadline)
        }
        let coldTime = SystemClock.monotonicNanoseconds() - start - hotTime
        if pages.upperBound > mine, loaded.tokens == part.tokens(before: mine) {
            let remote = pages.clamped(to: mine..<pages.upperBound)
            let rest = Array(targets.suffix(from: targets.startIndex + remote.lowerBound - pages.lowerBound))
            loaded.tokensByTier.remote = loadRemote(remote, of: part, rest, control, before: deadline)
        }
        loaded.place = place(after: part.tokens.lowerBound + loaded.tokens)
        loaded.isLate = loaded.tokens < part.tokens.count && deadline.map(\.hasPassed) == true
        space.count(loaded, hotTime, coldTime, nanoseconds: SystemClock.monotonicNanoseconds() - start)
        return loaded
    }

    /// - Returns: how many pages were delivered. The lease, which the caller holds, keeps their bytes where they are.
    private func loadHot(
        _ pages: Range<Int>, of part: MatchPart, _ targets: [PageTarget], _ control: LoadControl
    ) -> Int {
        guard !pages.isEmpty else { return 0 }
        let layout = space.layout
        let loads = zip(pages, targets).map { page, target in
            let (hash, tokens) = (lease.hash(of: page), lease.storedTokens(of: page))
            return HeldLoad(
                RecordLoad(hash: hash, tokens: part.end(inPage: page), tokenCount: tokens, target: target),
                lease.content(of: page).page(hash, tokens: tokens, layout, space.seal))
        }
        let delivery = space.store.loader.load(loads, of: layout, control: control)
        // A damaged page must not be found again: its date has passed. The disk may have a sound record of it.
        let damaged = loads.indices.filter { loads[$0].isDamaged } + delivery.damaged
        if !damaged.isEmpty {
            space.store.counters.damagedPages.add(UInt64(damaged.count))
            let hashes = damaged.map { (lease.hash(of: pages.lowerBound + $0), Int64(1)) }
            space.store.hot.setExpiry(Dictionary(hashes) { first, _ in first })
        }
        return delivery.delivered
    }

    private func loadCold(
        _ pages: Range<Int>, of part: MatchPart, _ targets: [PageTarget], _ control: LoadControl,
        before deadline: Deadline?
    ) -> Int {
        let loads = zip(pages, targets).map { page, target in
            let stored = cold[page - hotPages]
            return RecordLoad(
                hash: stored.hash, tokens: part.end(inPage: page), tokenCount: stored.tokenCount, target: target,
                seal: space.seal)
        }
        // An error of the folder as a whole is a miss here: the engine recomputes, and its next `match` tells why.
        let store = space.store
        let tally = ReadTally()
        var control = control
        control.tally = tally
        let delivered =
            if let deadline {
                store.loader.load(
                    loads, of: space.layout, from: store.cold, control: control, before: deadline, by: store.errands)
            } else {
                (try? store.loader.load(loads, of: space.layout, from: store.cold, control: control)) ?? 0
            }
        if store.options.promotes ?? tally.isOfDisk(or: store.loader.readRate) {
            promote(loads.prefix(delivered), from: pages.lowerBound)
        }
        return pages.prefix(delivered).reduce(0) { $0 + part.count(inPage: $1) }
    }

    private func loadRemote(
        _ pages: Range<Int>, of part: MatchPart, _ targets: [PageTarget], _ control: LoadControl,
        before deadline: Deadline?
    ) -> Int {
        let first = hotPages + cold.count
        let loads = zip(pages, targets).map { page, target in
            RecordLoad(
                hash: remote[page - first].hash, tokens: part.end(inPage: page),
                tokenCount: remote[page - first].tokenCount, target: target, seal: space.seal)
        }
        let delivered = loadRemote(loads, from: pages.lowerBound, control: control, before: deadline)
        return pages.prefix(delivered).reduce(0) { $0 + part.count(inPage: $1) }
    }

    /// Has pages kept in RAM, the first of them page `first` of the match. The token ids behind the match are not known
    /// of a page that matches in part.
    private func promote(_ loads: ArraySlice<RecordLoad>, from first: Int) {
        let pageSize = space.layout.pageSize
        let pages = zip(first..., loads).prefix { cold[$0 - hotPages].matchedTokens == $1.tokenCount }
        space.store.promoter.add(
            pages.map { page, load in
                PromotedPage(
                    name: PageName(
                        root: space.root, parent: page == 0 ? space.root : hash(ofPage: page - 1), hash: load.hash,
                        firstToken: page * pageSize,
                        tokens: tokens[page * pageSize..<page * pageSize + load.tokenCount],
                        seal: space.seal),
                    expiry: cold[page - hotPages].expiry)
            }, to: space.hot)
    }
}

/// Which tokens of a match are wanted, page by page.
struct MatchPart {
    let tokens: Range<Int>
    let pageSize: Int

    /// The pages in which they lie.
    var pages: Range<Int> {
        tokens.isEmpty ? 0..<0 : tokens.lowerBound / pageSize..<(tokens.upperBound + pageSize - 1) / pageSize
    }

    /// Whether no page is wanted in part.
    var isOfWholePages: Bool { tokens.lowerBound % pageSize == 0 && tokens.upperBound % pageSize == 0 }

    /// Tokens of a page up to the last one that is wanted.
    func end(inPage page: Int) -> Int { min(pageSize, tokens.upperBound - page * pageSize) }

    /// Tokens of a page before the first one that is wanted.
    func skipped(inPage page: Int) -> Int { max(0, tokens.lowerBound - page * pageSize) }

    /// Tokens that are wanted of the pages before this one.
    func tokens(before page: Int) -> Int { max(0, min(tokens.upperBound, page * pageSize) - tokens.lowerBound) }

    /// Tokens of a page that are wanted.
    func count(inPage page: Int) -> Int { end(inPage: page) - skipped(inPage: page) }
}

extension Space {
    fileprivate func count(_ loaded: Loaded, _ hotTime: UInt64, _ coldTime: UInt64, nanoseconds: UInt64) {
        let tokens = loaded.tokensByTier
        state.loadRates.withLock { rates in
            rates.hot.record(bytes: tokens.hot * layout.bytesPerToken, nanoseconds: hotTime)
            rates.cold.record(bytes: tokens.cold * layout.bytesPerToken, nanoseconds: coldTime)
            rates.remote.record(
                bytes: tokens.remote * layout.bytesPerToken, nanoseconds: nanoseconds - hotTime - coldTime)
        }
        let counters = store.counters
        counters.hotTokens.add(UInt64(tokens.hot))
        counters.coldTokens.add(UInt64(tokens.cold))
        counters.remoteTokens.add(UInt64(tokens.remote))
        counters.loadedBytes.add(UInt64(layout.pageBytes(tokens: loaded.tokens)))
        counters.loadNanoseconds.add(nanoseconds)
        let (saved, overflows) = UInt64(loaded.tokens).multipliedReportingOverflow(by: prefillNanosecondsPerToken ?? 0)
        if !overflows, saved > nanoseconds { counters.savedNanoseconds.add(saved - nanoseconds) }
    }
}
