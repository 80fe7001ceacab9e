// Match: the radix tree in RAM, then on where it ends in the cold tier.

internal import ColdTier
internal import HotTier
internal import Threads

extension Space {
    /// Finds the longest stored prefix of `tokens`, token-exact: the match may end inside a page. Loads nothing and
    /// changes no content; it counts as a use of the pages found.
    ///
    /// - Parameters:
    ///   - tokens: 1 to `Limits.tokens` token ids, from the beginning of the sequence.
    ///   - limit: how long the look on disk may take; nil for as long as it takes. When the time is up, the match is
    ///     what RAM has, and `isLate`; the look goes on without this caller, so that the next one finds the index in
    ///     memory. A remote is asked within the rest of it, and `RemoteOptions.lookupTime` at most.
    /// - Returns: a match, possibly empty. Damage in the cold tier is a shorter match, never an error.
    /// - Throws: `.invalidTokens`, `.closed`, `.forked`, or an error of the folder as a whole.
    public func match(_ tokens: [TokenID], within limit: Duration? = nil) throws(StoreError) -> Match {
        let deadline = limit.map { Deadline.after($0) }
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
        let answer = found == tokens.count ? [] : try matchCold(tokens, after: whole, of: used, now, before: deadline)
        let cold = answer ?? []
        let coldTokens = cold.reduce(0) { $0 + $1.matchedTokens }
        let goesOn = whole * layout.pageSize + coldTokens > found
        if goesOn { used.append(contentsOf: cold.lazy.map(\.hash)) }
        // A use in RAM is a use on disk too: else the pages that are used most, which never leave RAM, would be the
        // first to be evicted from the cold tier.
        let branches = goesOn ? cold.last?.isBranchPoint == true : lease.use == .branch
        if !used.isEmpty { store.cold.touch(used, now: now, as: branches ? .branch : .match) }
        let hotPages = goesOn ? whole : pages
        let local = goesOn ? whole * layout.pageSize + coldTokens : found
        if store.remote != nil, answer != nil {
            // A page that this host has in part only is found whole, or not at all, on the remote.
            let mine = local / layout.pageSize
            let path = (0..<mine).map { $0 < hotPages ? lease.hash(of: $0) : cold[$0 - hotPages].hash }
            putAfterHits(tokens, path)
            let remote = matchRemote(tokens, after: path, behind: local, before: deadline)
            if !remote.isEmpty {
                let hotMine = min(hotPages, mine)
                return Match(
                    lease: lease, hotPages: hotMine, hotTokens: hotMine * layout.pageSize,
                    cold: goesOn ? Array(cold.prefix(mine - hotMine)) : [], remote: remote, tokens: tokens, in: self)
            }
        }
        return Match(
            lease: lease, hotPages: hotPages, hotTokens: goesOn ? whole * layout.pageSize : found,
            cold: goesOn ? cold : [], tokens: tokens, isLate: answer == nil, in: self)
    }

    /// What the cold tier has behind the first `pages` pages, whose hashes `path` begins with; nil when the deadline
    /// has passed.
    private func matchCold(
        _ tokens: [TokenID], after pages: Int, of path: [PrefixHash], _ now: Int64, before deadline: Deadline?
    ) throws(StoreError) -> [ColdPage]? {
        let parent = pages == 0 ? root : path[pages - 1]
        // Not the space: the look may outlive it, and the store.
        let look = { @Sendable [cold = store.cold, root, layout, seal] in
            Result { () throws(StoreError) in
                try cold.match(
                    tokens, from: pages * layout.pageSize, parent: parent, root: root, layout: layout, now: now,
                    seal: seal)
            }
        }
        guard let deadline else { return try look().get() }
        return try store.errands.run(before: deadline, look)?.get()
    }
}
