// The tables of a store: names of LMDB databases, in the order in which they are opened.

/// A table of the store. `docs/format.md` shows keys and values of each.
enum TableName: String, CaseIterable, Sendable {
    /// Format version and counters of the whole store.
    case meta
    /// Space root -> descriptor and counters.
    case spaces
    /// Prefix hash -> description of a page: parent, tokens, sizes.
    case nodes
    /// Parent, first token ids, child -> token count. The order of the keys finds the longest common run among the
    /// children of a page.
    case edges
    /// Prefix hash -> the encoded page, padded to its slot.
    case pages
    /// Prefix hash -> last use, branches, pins, expiry.
    case recency
    /// Eviction order.
    case queue
    /// Prefix hash and name -> a side state, padded to its slot.
    case sides
    /// Prefix hash -> why a page was removed.
    case quarantine
    /// A name that people chose -> the prefix that it stands for.
    case names
}
