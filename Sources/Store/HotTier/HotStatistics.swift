// What the hot tier says about itself.

package import KVFormat

/// Counters of one hot tier: what it holds now, and what has happened since it was made. A copy; it does not change.
package struct HotStatistics: Equatable, Sendable {
    /// The budget for page memory.
    package var capacity = ByteCount.zero
    /// Memory behind page seats, in use or free; never above `capacity`.
    package var residentBytes = ByteCount.zero
    /// Page seats in use, whole seats also for tails.
    package var usedBytes = ByteCount.zero
    /// Nodes, token ids and tables, which are not counted against the capacity.
    package var indexBytes = ByteCount.zero
    /// Pages in the tree.
    package var pages = 0
    /// Pages with at least one pin of their own. A pin keeps the pages before it as well; they are not counted.
    package var pinnedPages = 0
    /// Pages that the cold tier does not have yet.
    package var dirtyPages = 0

    /// Pages published by `insert`.
    package var inserted = 0
    /// Inserts of pages that were there already.
    package var alreadyThere = 0
    /// Inserts refused since everything that could be evicted was, or is being spilled.
    package var refused = 0
    /// Inserts whose parent was not there.
    package var orphans = 0
    /// Pages evicted to make room.
    package var evicted = 0
    /// Of those, pages that the cold tier did not have.
    package var evictedUnstored = 0
    /// Pages that eviction gave to the spill closure, and that it took.
    package var handedOver = 0
    /// Tails that made way for a longer page.
    package var superseded = 0
    /// Pages taken out by `remove` and `removeAll`.
    package var removed = 0
    /// Calls of `match`.
    package var matches = 0
    /// Pages that matches gave, whole or in part.
    package var matchedPages = 0
    /// Tokens that matches gave.
    package var matchedTokens = 0

    /// All zero.
    package init() {}
}
