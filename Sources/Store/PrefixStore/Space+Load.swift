// Load: the pages of a match into the caller's memory.

internal import ColdTier
internal import HotTier
internal import Threads

/// What a load delivered: the first `tokens` tokens of the sequence lie in the caller's memory, byte for byte as
/// inserted.
public struct Loaded: Hashable, Sendable {
    /// Tokens that came from RAM.
    public var hotTokens = 0
    /// Tokens that came from disk, after those.
    public var coldTokens = 0
    /// Tokens delivered.
    public var tokens: Int { hotTokens + coldTokens }

    /// Nothing, or what is said.
    public init(hotTokens: Int = 0, coldTokens: Int = 0) {
        self.hotTokens = hotTokens
        self.coldTokens = coldTokens
    }
}

extension Space {
    /// Copies the pages of `match` into the caller's memory.
    ///
    /// - Parameters:
    ///   - match: what `match(_:)` of this space returned.
    ///   - targets: one a page, in order; target `i` receives the tokens of page `i`. Fewer targets load fewer pages.
    ///   - limit: at most this many tokens; nil loads all. An engine that needs logits leaves out the last prompt
    ///     token.
    ///   - onLayersReady: called, from the store's threads or this one, with a rising number of layers whose planes are
    ///     complete in all pages, so that an engine can compute with the first layers while the rest is loaded. What a
    ///     call told of holds only if the load delivers all it was asked for.
    ///   - isCancelled: asked now and then, from the same threads; true ends the load early.
    /// - Throws: `.invalidPages` when a target has no room for the tokens that would go there, or another number of
    ///   planes than the layout; nothing was written then.
    /// - Returns: how much was delivered. Less than the match when a page turned out damaged or was evicted meanwhile;
    ///   the targets after that hold nothing of use.
    /// - Complexity: one copy a hot page, one decode a cold page; a cold page is kept in RAM if `options.promotes`.
    public func load(
        _ match: borrowing Match, into targets: [PageTarget], limit: Int? = nil,
        onLayersReady: (@Sendable (_ layers: Int) -> Void)? = nil, isCancelled: (@Sendable () -> Bool)? = nil
    ) throws(StoreError) -> Loaded {
        let start = SystemClock.monotonicNanoseconds()
        let wanted = min(match.tokenCount, limit ?? match.tokenCount, targets.count * layout.pageSize)
        var loaded = Loaded()
        guard wanted > 0 else { return loaded }
        let pages = (wanted + layout.pageSize - 1) / layout.pageSize
        for (index, target) in targets.prefix(pages).enumerated() {
            let held = min(layout.pageSize, wanted - index * layout.pageSize)
            let misfit = target.memory.misfit(tokens: held, layout)
            if let misfit { throw .invalidPages("page \(index): \(misfit)") }
        }
        loaded.hotTokens = loadHot(match, pages: min(pages, match.hotPages), wanted: wanted, targets)
        let hotTime = SystemClock.monotonicNanoseconds() - start
        if pages > match.hotPages {
            let control = LoadControl(onLayersReady: onLayersReady, isCancelled: isCancelled)
            loaded.coldTokens = loadCold(match, pages: pages, wanted: wanted, targets, control)
        } else {
            onLayersReady?(layout.layers)
        }
        count(loaded, hotNanoseconds: hotTime, nanoseconds: SystemClock.monotonicNanoseconds() - start)
        return loaded
    }

    /// - Returns: the tokens that were copied: all that were wanted of these pages.
    private func loadHot(_ match: borrowing Match, pages: Int, wanted: Int, _ targets: [PageTarget]) -> Int {
        let copies = (0..<pages).map { page in
            let tokens = min(match.tokens(inPage: page), wanted - page * layout.pageSize)
            return match.lease.copy(of: page, tokens: tokens, to: targets[page])
        }
        let tokens = copies.reduce(0) { $0 + $1.tokens }
        // The lease, which the caller holds, keeps the sources where they are.
        store.cold.share(tokens * layout.bytesPerToken, as: pages) { copies[$0].run() }
        return tokens
    }

    private func loadCold(
        _ match: borrowing Match, pages: Int, wanted: Int, _ targets: [PageTarget], _ control: LoadControl
    ) -> Int {
        var loads: [ColdLoad] = []
        for page in match.hotPages..<pages {
            let stored = match.cold[page - match.hotPages]
            let needed = min(match.tokens(inPage: page), wanted - page * layout.pageSize)
            loads.append(
                ColdLoad(hash: stored.hash, tokens: needed, tokenCount: stored.tokenCount, target: targets[page]))
        }
        // An error of the folder as a whole is a miss here: the engine recomputes, and its next `match` tells why.
        let delivered = (try? store.cold.load(loads, layout: layout, control: control)) ?? 0
        if store.options.promotes { promote(match, loads.prefix(delivered)) }
        return loads.prefix(delivered).reduce(0) { $0 + $1.tokens }
    }

    /// Keeps pages that were loaded whole in RAM. One that was loaded in part cannot be kept under its hash.
    private func promote(_ match: borrowing Match, _ loads: ArraySlice<ColdLoad>) {
        let now = SystemClock.wallMilliseconds()
        var parent = match.hotPages == 0 ? root : match.lease.hash(of: match.hotPages - 1)
        for (index, load) in loads.enumerated() where load.tokens == load.tokenCount {
            let page = match.hotPages + index
            let tokens = match.tokens[..<(page * layout.pageSize + load.tokens)]
            let outcome = hot.insert(
                tokens, pageIndex: page, hash: load.hash, parent: parent, source: load.target.source, now: now,
                isStored: true)
            guard outcome == .inserted || outcome == .alreadyThere else { return }
            parent = load.hash
        }
    }

    private func count(_ loaded: Loaded, hotNanoseconds: UInt64, nanoseconds: UInt64) {
        state.loadRates.withLock { rates in
            rates.hot.record(bytes: loaded.hotTokens * layout.bytesPerToken, nanoseconds: hotNanoseconds)
            rates.cold.record(
                bytes: loaded.coldTokens * layout.bytesPerToken, nanoseconds: nanoseconds - hotNanoseconds)
        }
        let counters = store.counters
        counters.hotTokens.add(UInt64(loaded.hotTokens))
        counters.coldTokens.add(UInt64(loaded.coldTokens))
        counters.loadedBytes.add(UInt64(layout.pageBytes(tokens: loaded.tokens)))
        counters.loadNanoseconds.add(nanoseconds)
        let saved = UInt64(loaded.tokens) * (prefillTimePerToken ?? 0)
        if saved > nanoseconds { counters.savedNanoseconds.add(saved - nanoseconds) }
    }
}
