// Match: the radix tree in RAM, then on where it ends in the cold tier.

internal import ColdTier
internal import HotTier
internal import Threads

extension Space {
    /// Finds the longest stored prefix of `tokens`, token-exact: the match may end inside a page. Loads nothing and
    /// changes no content; it counts as a use of the pages found.
    ///
    /// - Parameter tokens: 1 to `Limits.tokens` token ids, from the beginning of the sequence.
    /// - Returns: a match, possibly empty. Damage in the cold tier is a shorter match, never an error.
    /// - Throws: `.invalidTokens`, `.closed`, `.forked`, or an error of the folder as a whole.
    public func match(_ tokens: [TokenID]) throws(StoreError) -> Match {
        try check(tokens)
        let now = SystemClock.wallMilliseconds()
        let dates = store.cold.takeDates()
        if !dates.isEmpty { store.hot.setExpiry(dates) }
        let lease = hot.match(tokens, now: now)
        store.counters.matches.add(1)
        store.counters.requestedTokens.add(UInt64(tokens.count))
        spillAfterHits(lease)
        let found = lease.tokenCount
        let pages = lease.pageCount
        var used: [PrefixHash] = []
        used.reserveCapacity(pages)
        for page in 0..<pages { used.append(lease.hash(of: page)) }
        let whole = found / layout.pageSize
        let cold = found == tokens.count ? [] : try matchCold(tokens, after: whole, of: used, now)
        let coldTokens = cold.reduce(0) { $0 + $1.matchedTokens }
        let goesOn = whole * layout.pageSize + coldTokens > found
        if goesOn { used.append(contentsOf: cold.lazy.map(\.hash)) }
        // A use in RAM is a use on disk too: else the pages that are used most, which never leave RAM, would be the
        // first to be evicted from the cold tier.
        let branches = goesOn ? cold.last?.isBranchPoint == true : lease.use == .branch
        if !used.isEmpty { store.cold.touch(used, now: now, as: branches ? .branch : .match) }
        return Match(
            lease: lease, hotPages: goesOn ? whole : pages, hotTokens: goesOn ? whole * layout.pageSize : found,
            cold: goesOn ? cold : [], tokens: tokens, in: self)
    }

    /// What the cold tier has behind the first `pages` pages, whose hashes `path` begins with.
    private func matchCold(
        _ tokens: [TokenID], after pages: Int, of path: [PrefixHash], _ now: Int64
    ) throws(StoreError) -> [ColdPage] {
        try store.cold.match(
            tokens, from: pages * layout.pageSize, parent: pages == 0 ? root : path[pages - 1], root: root,
            layout: layout, now: now, seal: seal)
    }
}
