// One node of the radix tree: one page.

internal import KVFormat

/// Where the bytes of a page are.
enum PageBody: Equatable {
    /// As the engine gave them, in the staging memory; a spill has the page pinned and encodes it.
    case staged
    /// Encoded, in this seat.
    case record(Seat)
    /// Nowhere: there was no room for the record. The page is a miss, and leaves the tree when it is met, or when room
    /// is made.
    case none
}

/// A page in the tree, or the root of a space. Links are indices into the tree's array; `none` ends them.
///
/// A node has one page, not a run of pages. The walk compares all token ids of a page anyway, and compared with that
/// the link to the next page costs only a few nanoseconds. In return, nothing is ever split, each page is pinned,
/// counted and evicted by itself, and a hash names a node.
struct RadixNode {
    /// No node.
    static let none: Int32 = -1
    /// The depth of a space's root, which is not a page.
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
    /// The row of its token ids; `none` for a root.
    var row: Int32
    /// Token ids of the page: `pageSize`, or fewer for a tail.
    var tokenCount: Int32
    /// Where its bytes are.
    var body = PageBody.none
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
    /// When the page and all pages behind it become a miss, in milliseconds since the Unix epoch; 0 for never.
    var expiry: Int64 = 0
    /// Whether the cold tier has the page.
    var isStored = false
    /// Spills of the page that are queued and not finished.
    var spills: Int32 = 0
    /// Whether the spill closure has refused the page, so that eviction need not offer it again.
    var isDroppable = false
    /// Whether a longer page has everything that this tail has, so that the tail is removed with its last pin.
    var isSuperseded = false

    /// Whether this is a page, and not a space's root or a node out of use.
    var isPage: Bool { depth >= 0 && space >= 0 }

    /// Whether the page may no longer be served at `now`, or cannot.
    func isMiss(at now: Int64) -> Bool { body == .none || expiry != 0 && expiry <= now }

    /// Whether the page can be evicted now. An inner page cannot, so a pin on a page also protects all pages before it.
    var isEvictable: Bool { isPage && childCount == 0 && pins == 0 }
}
