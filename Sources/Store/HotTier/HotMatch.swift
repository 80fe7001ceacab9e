// The lease on what a match found.

package import KVFormat
internal import Threads

/// The right to read the pages of one prefix. None of them is evicted or overwritten while the lease lives.
///
/// The lease pins only the last page, because inner pages are never evicted before those that follow them. Several
/// threads can read through it at once. Releasing it takes the tier's mutex for a moment.
package struct HotMatch: ~Copyable, Sendable {
    private let space: HotSpace
    // The last page comes first, as the walk found them.
    private let pages: [MatchedPage]
    private let deepest: Int32

    /// Tokens of the prefix; 0 when nothing was found.
    package let tokenCount: Int
    /// The kind of use that the request makes of these pages, as far as this tier can tell.
    package let use: PathUse

    init(space: HotSpace, _ path: MatchedPath) {
        self.space = space
        pages = path.pages
        deepest = path.deepest
        use = path.use
        tokenCount = path.tokenCount
    }

    deinit {
        if deepest != RadixNode.none { space.tier.unpin(deepest) }
    }

    /// Number of pages that the prefix touches. The last one may be a tail, or be matched only in part.
    package var pageCount: Int { pages.count }

    /// Whether nothing was found.
    package var isEmpty: Bool { pages.isEmpty }

    /// The prefix hash of page `page`, counted from 0. If the last page was matched only in part, this is the hash of
    /// the whole page.
    package func hash(of page: Int) -> PrefixHash { self[page].hash }

    /// Tokens of page `page` that belong to the prefix.
    package func matchedTokens(of page: Int) -> Int {
        min(storedTokens(of: page), tokenCount - page * space.layout.pageSize)
    }

    /// Number of tokens in page `page`; for the last page this may be more than were matched.
    package func storedTokens(of page: Int) -> Int { Int(self[page].tokenCount) }

    /// Whether the cold tier had page `page` when this match was made.
    package func isStored(_ page: Int) -> Bool { self[page].isStored }

    /// The bytes of page `page`, encoded or as the engine gave them. Valid while the lease lives.
    package func content(of page: Int) -> HotContent { self[page].content }

    /// Ends the lease now; the compiler rejects any later use.
    package consuming func release() {}

    private subscript(page: Int) -> MatchedPage {
        precondition(page >= 0 && page < pages.count, "page \(page) is not in this lease")
        return pages[pages.count - 1 - page]
    }
}
