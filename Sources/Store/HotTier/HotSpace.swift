// One space of the hot tier: the pages that one model identity shares.

package import KVFormat
internal import Threads

/// A handle on one space of a tier. It owns only a reference to its tier. Thread-safe.
package final class HotSpace: Sendable {
    let tier: HotTier
    let record: SpaceRecord

    init(tier: HotTier, record: SpaceRecord) {
        self.tier = tier
        self.record = record
    }

    /// The space root.
    package var root: PrefixHash { record.root }

    /// The shape of the space's pages.
    package var layout: KVLayout { record.layout }

    /// Finds the longest prefix of `tokens` in RAM, exact to the token. It matches whole pages along the chain, and
    /// then the first tokens of the page with the longest common run (a tail, or a whole page shared in part). Opaque
    /// layouts match whole pages only.
    ///
    /// Counts as a use of every page of the prefix, and pins the prefix for the life of the lease.
    ///
    /// - Parameter now: milliseconds since the Unix epoch.
    /// - Returns: a lease, which may be empty.
    /// - Complexity: one comparison of token ids per page (times the logarithm of the number of its siblings); one
    ///   allocation.
    package func match(_ tokens: ArraySlice<TokenID>, now: Int64) -> HotMatch {
        let path = tier.state.withLock { $0.match(tokens, in: record, now: now) }
        return HotMatch(space: self, path)
    }

    /// As `match(_:now:)` for a whole array.
    package func match(_ tokens: [TokenID], now: Int64) -> HotMatch { match(tokens[...], now: now) }

    func checked(_ layout: KVLayout) throws(StoreError) -> HotSpace {
        guard layout == record.layout else { throw .invalidLayout("the space is in RAM with another layout") }
        return self
    }
}
