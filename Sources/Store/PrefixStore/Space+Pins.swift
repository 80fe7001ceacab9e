// Pins and expiry: what eviction must spare, and what it must not.

internal import ColdTier

extension Space {
    /// Keeps the prefix `tokens` on disk whatever the quota asks: every page of it is pinned once more. Pins are counted and
    /// stay until `unpin`, across restarts.
    ///
    /// - Throws: `.noSuchPage` when a page of the prefix is not on disk (call `flush()` before).
    public func pin(_ tokens: [TokenID]) throws(StoreError) {
        try check(tokens)
        try store.cold.pin(path: path(tokens))
    }

    /// Takes one pin off every page of the prefix `tokens`.
    ///
    /// - Throws: `.noSuchPage` when a page of the prefix is not on disk.
    public func unpin(_ tokens: [TokenID]) throws(StoreError) {
        try check(tokens)
        try store.cold.unpin(path: path(tokens))
    }

    /// Lets the last page of the prefix `tokens` expire at `milliseconds` since the Unix epoch, with all that follows it; 0
    /// takes the date off. An expired page is a miss and the first to be evicted.
    ///
    /// - Throws: `.noSuchPage` when the page is not on disk.
    public func expire(_ tokens: [TokenID], at milliseconds: Int64) throws(StoreError) {
        try check(tokens)
        try store.cold.setExpiry(of: prefixHash(tokens), at: milliseconds)
    }

    private func path(_ tokens: [TokenID]) -> [PrefixHash] {
        PrefixHash.chain(from: root, tokens: tokens[...], pageSize: layout.pageSize)
    }
}
