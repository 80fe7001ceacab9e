// Side states: named blobs tied to one prefix.

internal import ColdTier

extension Space {
    /// Stores a blob (recurrent state, sliding window, last logits) with the prefix `tokens`, whose pages must be
    /// stored.
    ///
    /// It is written and synced before the call returns, it counts against the quota and goes when the prefix goes.
    ///
    /// - Parameters:
    ///   - name: 1 to `Limits.sideStateName` bytes; a second blob of that name replaces the first.
    ///   - bytes: at most `Limits.sideStateBytes`.
    ///   - tokens: the whole prefix, to the token after which the state was taken.
    /// - Throws: `.noSuchPage` when the prefix is not on disk (call `flush()` before), `.invalidSideState`,
    ///   `.quotaFull`.
    public func putSideState(_ name: String, _ bytes: RawSpan, after tokens: [TokenID]) throws(StoreError) {
        try check(tokens)
        try store.cold.putSideState(name, of: prefixHash(tokens), bytes, seal: seal)
    }

    /// The blob `name` of the prefix `tokens`; nil when there is none, or when it is damaged.
    public func sideState(_ name: String, after tokens: [TokenID]) throws(StoreError) -> [UInt8]? {
        try check(tokens)
        return try store.cold.sideState(name, of: prefixHash(tokens), seal: seal)
    }

    /// The names of all blobs of the prefix `tokens`, in the order of their bytes.
    public func sideStateNames(after tokens: [TokenID]) throws(StoreError) -> [String] {
        try check(tokens)
        return try store.cold.sideStateNames(of: prefixHash(tokens))
    }
}
