// Load: the pages of a match into the caller's memory.

internal import ColdTier
internal import HotTier
internal import Records
internal import Threads

/// What a load delivered: the first `tokens` tokens of the sequence lie in the caller's memory, byte for byte as
/// inserted.
public struct Loaded: Hashable, Sendable {
    /// Tokens delivered, by the tier that gave them: those from RAM, then those from disk.
    public internal(set) var tokensByTier = TokensByTier()
    /// Where to store what is computed next: behind the whole pages that were delivered. `Space.insert` takes it.
    public internal(set) var place: SequencePlace
    /// Tokens delivered.
    public var tokens: Int { tokensByTier.total }
}

extension Match {
    /// Copies the pages of the match into the caller's memory.
    ///
    /// - Parameters:
    ///   - targets: one per page, in order; target `i` receives the tokens of page `i`. Fewer targets load fewer pages.
    ///   - limit: at most this many tokens; nil loads all. An engine that needs logits leaves out the last prompt
    ///     token. Of an opaque layout only whole pages are loaded.
    ///   - onLayersReady: called, from the store's threads or this one, with a rising number of layers whose planes are
    ///     complete in all pages, so that an engine can compute with the first layers while the rest is loaded. A
    ///     reported layer is valid only if the load then delivers everything that was requested.
    ///   - isCancelled: asked now and then, from the same threads; true ends the load early.
    /// - Throws: `.invalidPages` when a target has no room for the tokens that would go there, or another number of
    ///   planes than the layout; nothing was written then.
    /// - Returns: how much was delivered. Less than the match when a page turned out damaged or was evicted meanwhile;
    ///   the targets after that hold nothing of use.
    /// - Complexity: one copy per hot page, one decode per cold page; a cold page is kept in RAM if `options.promotes`.
    public func load(
        into targets: [PageTarget], limit: Int? = nil, onLayersReady: (@Sendable (_ layers: Int) -> Void)? = nil,
        isCancelled: (@Sendable () -> Bool)? = nil
    ) throws(StoreError) -> Loaded {
        let start = SystemClock.monotonicNanoseconds()
        let layout = space.layout
        var wanted = min(tokenCount, limit ?? tokenCount, targets.count * layout.pageSize)
        if !layout.isDivisible { wanted -= wanted % layout.pageSize }
        var loaded = Loaded(place: space.start)
        guard wanted > 0 else { return loaded }
        let pages = (wanted + layout.pageSize - 1) / layout.pageSize
        for (index, target) in targets.prefix(pages).enumerated() {
            let misfit = target.memory.misfit(tokens: needed(inPage: index, of: wanted), layout)
            if let misfit { throw .invalidPages("page \(index): \(misfit)") }
        }
        loaded.tokensByTier.hot = loadHot(pages: min(pages, hotPages), wanted: wanted, targets)
        let hotTime = SystemClock.monotonicNanoseconds() - start
        if pages > hotPages {
            let control = LoadControl(onLayersReady: onLayersReady, isCancelled: isCancelled)
            loaded.tokensByTier.cold = loadCold(pages: pages, wanted: wanted, targets, control)
        } else {
            onLayersReady?(layout.layers)
        }
        loaded.place = place(after: loaded.tokens)
        space.count(loaded, hotNanoseconds: hotTime, nanoseconds: SystemClock.monotonicNanoseconds() - start)
        return loaded
    }

    /// Tokens that a load of `wanted` tokens takes from page `page`.
    private func needed(inPage page: Int, of wanted: Int) -> Int {
        min(space.layout.pageSize, wanted - page * space.layout.pageSize)
    }

    /// - Returns: the tokens that were copied: all that were wanted of these pages.
    private func loadHot(pages: Int, wanted: Int, _ targets: [PageTarget]) -> Int {
        let copies = (0..<pages).map { page in
            lease.copy(of: page, tokens: needed(inPage: page, of: wanted), to: targets[page])
        }
        let tokens = copies.reduce(0) { $0 + $1.tokens }
        // The lease, which the caller holds, keeps the sources where they are.
        let isShared = tokens * space.layout.bytesPerToken >= RecordLoader.sharedBytes
        space.store.team.forEach(pages, isShared: isShared) { copies[$0].run() }
        return tokens
    }

    private func loadCold(pages: Int, wanted: Int, _ targets: [PageTarget], _ control: LoadControl) -> Int {
        var loads: [RecordLoad] = []
        for page in hotPages..<pages {
            let stored = cold[page - hotPages]
            loads.append(
                RecordLoad(
                    hash: stored.hash, tokens: needed(inPage: page, of: wanted), tokenCount: stored.tokenCount,
                    target: targets[page]))
        }
        // An error of the folder as a whole is a miss here: the engine recomputes, and its next `match` tells why.
        let store = space.store
        let delivered = (try? store.loader.load(loads, of: space.layout, from: store.cold, control: control)) ?? 0
        if store.options.promotes { promote(loads.prefix(delivered)) }
        return loads.prefix(delivered).reduce(0) { $0 + $1.tokens }
    }

    /// Keeps pages that were loaded whole in RAM. One that was loaded in part cannot be kept under its hash.
    private func promote(_ loads: ArraySlice<RecordLoad>) {
        let now = SystemClock.wallMilliseconds()
        var parent = hotPages == 0 ? space.root : lease.hash(of: hotPages - 1)
        for (index, load) in loads.enumerated() where load.tokens == load.tokenCount {
            let start = (hotPages + index) * space.layout.pageSize
            let name = PageName(
                root: space.root, parent: parent, hash: load.hash, firstToken: start,
                tokens: tokens[start..<start + load.tokens])
            let outcome = space.hot.insert(
                name, source: load.target.source, now: now, isStored: true,
                expiry: cold[index].expiry)
            guard outcome == .inserted || outcome == .alreadyThere else { return }
            parent = load.hash
        }
    }
}

extension Space {
    fileprivate func count(_ loaded: Loaded, hotNanoseconds: UInt64, nanoseconds: UInt64) {
        state.loadRates.withLock { rates in
            rates.hot.record(bytes: loaded.tokensByTier.hot * layout.bytesPerToken, nanoseconds: hotNanoseconds)
            rates.cold.record(
                bytes: loaded.tokensByTier.cold * layout.bytesPerToken, nanoseconds: nanoseconds - hotNanoseconds)
        }
        let counters = store.counters
        counters.hotTokens.add(UInt64(loaded.tokensByTier.hot))
        counters.coldTokens.add(UInt64(loaded.tokensByTier.cold))
        counters.loadedBytes.add(UInt64(layout.pageBytes(tokens: loaded.tokens)))
        counters.loadNanoseconds.add(nanoseconds)
        let (saved, overflows) = UInt64(loaded.tokens).multipliedReportingOverflow(by: prefillNanosecondsPerToken ?? 0)
        if !overflows, saved > nanoseconds { counters.savedNanoseconds.add(saved - nanoseconds) }
    }
}
