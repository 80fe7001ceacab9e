// Match: the radix tree in RAM, then on where it ends in the cold tier.

internal import ColdTier
internal import HotTier
internal import Threads

extension Space {
    /// Finds the longest stored prefix of `tokens`, token-exact: the match may end inside a page. Loads nothing and changes no
    /// content; it counts as a use of the pages found.
    ///
    /// - Parameter tokens: 1 to `Limits.tokens` token ids, from the beginning of the sequence.
    /// - Returns: a match, possibly empty. Damage in the cold tier is a shorter match, never an error.
    /// - Throws: `.invalidTokens`, `.closed`, `.forked`, or an error of the folder as a whole.
    public func match(_ tokens: [TokenID]) throws(StoreError) -> Match {
        try check(tokens)
        let now = Clock.wallMilliseconds()
        let lease = hot.match(tokens, now: now)
        store.counters.matches.add(1)
        store.counters.requestedTokens.add(UInt64(tokens.count))
        spillAfterHits(lease)
        let found = lease.tokenCount
        let pages = lease.pageCount
        if found == tokens.count {
            touchStored(lease, now)
            return Match(
                lease: lease, hotPages: pages, hotTokens: found, cold: [], pageSize: layout.pageSize,
                tokens: tokens)
        }
        let whole = wholePages(lease)
        let parent = whole == 0 ? root : lease.hash(of: whole - 1)
        let cold = try store.cold.match(
            tokens, from: whole * layout.pageSize, parent: parent, root: root, layout: layout, now: now)
        let coldTokens = cold.reduce(0) { $0 + $1.matchedTokens }
        touchStored(lease, now)
        if whole * layout.pageSize + coldTokens <= found {
            return Match(
                lease: lease, hotPages: pages, hotTokens: found, cold: [], pageSize: layout.pageSize,
                tokens: tokens)
        }
        store.cold.touch(cold.map(\.hash), now: now)
        return Match(
            lease: lease, hotPages: whole, hotTokens: whole * layout.pageSize, cold: cold, pageSize: layout.pageSize,
            tokens: tokens)
    }

    /// Pages of a lease that are whole and wholly matched: where the cold tier can go on.
    private func wholePages(_ lease: borrowing HotMatch) -> Int { lease.tokenCount / layout.pageSize }

    /// A use in RAM is a use on disk too: else the pages that are used most, which never leave RAM, would be the first to be
    /// evicted from the cold tier.
    private func touchStored(_ lease: borrowing HotMatch, _ now: Int64) {
        guard lease.pageCount > 0 else { return }
        store.cold.touch((0..<lease.pageCount).map { lease.hash(of: $0) }, now: now)
    }
}
