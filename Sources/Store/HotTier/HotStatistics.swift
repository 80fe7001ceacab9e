// The statistics of the hot tier.

package import KVFormat

/// Counters of one hot tier: what it holds now, and what has happened since it was made. This is a copy that does not
/// change.
package struct HotStatistics: Equatable, Sendable {
    /// The budget for the memory of records.
    package var capacity = ByteCount.zero
    /// Memory behind the records' seats, in use or free; never above `capacity`.
    package var residentBytes = ByteCount.zero
    /// Bytes of the records' seats in use.
    package var usedBytes = ByteCount.zero
    /// Bytes of the pages that are not encoded yet, which do not count against the capacity.
    package var stagedBytes = ByteCount.zero
    /// Bytes of nodes, token ids and tables, which do not count against the capacity.
    package var indexBytes = ByteCount.zero
    /// Pages in the tree.
    package var pages = 0
    /// Pages with at least one pin of their own. A pin also protects the pages before it, which are not counted here.
    package var pinnedPages = 0
    /// Pages that the cold tier does not have yet.
    package var dirtyPages = 0

    /// Pages published by `insert`.
    package var inserted = 0
    /// Inserts of pages that were there already.
    package var alreadyThere = 0
    /// Pages refused because nothing more could be evicted for their records.
    package var refused = 0
    /// Inserts whose parent was not there.
    package var orphans = 0
    /// Pages evicted to make room.
    package var evicted = 0
    /// How many of the evicted pages the cold tier did not have.
    package var evictedUnstored = 0
    /// Pages that eviction offered to the spill closure and that the closure took.
    package var handedOver = 0
    /// Tails that a longer page replaced.
    package var superseded = 0
    /// Pages removed because their date had passed.
    package var removed = 0
    /// Calls of `match`.
    package var matches = 0
    /// Pages that matches found, whole or in part.
    package var matchedPages = 0
    /// Tokens that matches found.
    package var matchedTokens = 0

    /// All zero.
    package init() {}
}
