// Pins and expiry: what eviction must spare, and what it must not.

internal import ColdTier
internal import HotTier
internal import Threads

extension Space {
    /// Keeps the prefix `tokens` on disk even when the quota requires eviction: each of its pages gets one more pin.
    /// Pins are counted and stay until `unpin`, across restarts.
    ///
    /// - Throws: `.noSuchPage` when a page of the prefix is not on disk (call `flush()` before).
    public func pin(_ tokens: [TokenID]) throws(StoreError) {
        try check(tokens)
        let path = path(tokens)
        try store.cold.pin(path: path)
        putPinned(tokens, path)
    }

    /// Takes one pin off every page of the prefix `tokens`.
    ///
    /// - Throws: `.noSuchPage` when a page of the prefix is not on disk.
    public func unpin(_ tokens: [TokenID]) throws(StoreError) {
        try check(tokens)
        try store.cold.unpin(path: path(tokens))
    }

    /// Lets the last page of the prefix `tokens` expire at `date`, with all that follows it; nil takes the date off.
    ///
    /// From its date on the page is a miss and the first to be evicted; an insert of the same tokens stores a new page,
    /// without a date. The date holds at once on disk, for every process, and in this process's RAM. Another process
    /// that has the page in RAM learns of the date with the next write that it makes after it has used the page.
    ///
    /// ```swift
    /// try space.expire(prompt, at: .now + .seconds(3600))
    /// ```
    ///
    /// - Throws: `.noSuchPage` when the page is not on disk; `.invalidOption` for a date before 1970.
    public func expire(_ tokens: [TokenID], at date: Timestamp?) throws(StoreError) {
        try check(tokens)
        let hash = prefixHash(tokens)
        try store.cold.setExpiry(of: hash, at: date)
        store.hot.setExpiry([hash: date?.milliseconds ?? 0])
    }

    private func path(_ tokens: [TokenID]) -> [PrefixHash] {
        PrefixHash.chain(from: root, tokens: tokens[...], pageSize: layout.pageSize, seal: seal)
    }
}

extension Timestamp {
    /// This moment, by the system's clock.
    public static var now: Timestamp { Timestamp(milliseconds: SystemClock.wallMilliseconds()) }
}
