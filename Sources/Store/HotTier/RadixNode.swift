// One node of the radix tree: one page.

internal import KVFormat

/// A page in the tree, or the root of a space. Links are indices into the tree's array; `none` ends them.
///
/// A node has one page, not a run of pages: the walk compares all token ids of a page anyway, and the link to the next
/// page costs a few nanoseconds beside that. In return nothing is ever split, pages are pinned, counted and evicted one
/// by one, and a hash names a node.
struct RadixNode {
    /// No node.
    static let none: Int32 = -1
    /// The depth of a space's root, which is no page.
    static let rootDepth: Int32 = -1

    /// The page's prefix hash, or the space root.
    var hash: PrefixHash
    /// When the page was used last, and by how many different continuations.
    var use: PageUse
    /// The page before this one, or the space's root.
    var parent: Int32
    /// The page's number in its sequence, from 0.
    var depth: Int32
    /// The space the page belongs to; `none` for a node that is not in use.
    var space: Int32
    /// The seat in the space's pool.
    var seat: Int32
    /// Token ids of the page: `pageSize`, or fewer for a tail.
    var tokenCount: Int32
    /// The top of the search tree of the pages after this one.
    var children = Self.none
    /// Among the pages after `parent`: those whose token ids come before.
    var left = Self.none
    /// Among the pages after `parent`: those whose token ids come after.
    var right = Self.none
    /// Pages after this one.
    var childCount: Int32 = 0
    /// Leases, spills and inserts that need the page where it is.
    var pins: Int32 = 0
    /// Milliseconds since the Unix epoch from which on the page and all behind it are a miss; 0 for never.
    var expiry: Int64 = 0
    /// Matches that this page was part of.
    var hits: UInt32 = 0
    /// Whether the cold tier has the page.
    var isStored = false
    /// Spills of the page that are queued and not over.
    var spills: Int32 = 0
    /// Whether the page was offered for spilling and refused, so that eviction need not ask again.
    var isDroppable = false
    /// Whether a longer page has everything that this tail has, so that it goes with its last pin.
    var isSuperseded = false

    /// Whether this is a page, and not a space's root or a node out of use.
    var isPage: Bool { depth >= 0 && space >= 0 }

    /// Whether the page may no longer be served at `now`.
    func isExpired(at now: Int64) -> Bool { expiry != 0 && expiry <= now }

    /// Whether the page can be evicted now. An inner page can't: so a pin on a page keeps all pages before it as well.
    var isEvictable: Bool { isPage && childCount == 0 && pins == 0 }
}
