// Copying a page into the hot tier.

package import KVFormat
internal import Threads

/// How an insert ended. None of these is an error: a page that is not in RAM is recomputed or read from disk.
package enum InsertOutcome: Sendable {
    /// The page is in RAM now.
    case inserted
    /// The page, or a longer one that begins with its token ids, was there; that one counts as used.
    case alreadyThere
    /// Nothing could be evicted for it: everything is pinned or being spilled, or a page is larger than the capacity.
    case noRoom
    /// The page before it is not in RAM, or is a tail.
    case orphan
}

/// A page on its way into the tree.
struct NewPage {
    var run: ArraySlice<TokenID>
    var pageIndex: Int32
    var hash: PrefixHash
    var parent: PrefixHash
    var now: Int64
    var isStored: Bool
}

extension HotSpace {
    /// Copies one page in and publishes it behind the page before it.
    ///
    /// A longer page replaces a tail with the same beginning; a tail that is pinned stays until its pins are gone.
    ///
    /// - Parameters:
    ///   - tokens: the token ids of the whole sequence; the page has those from `pageIndex * pageSize`, a page's worth
    ///     or what is left.
    ///   - pageIndex: the page's number in the sequence, from 0; there is at least one token for it, and a page's
    ///     worth if the layout is opaque.
    ///   - hash: the page's prefix hash, `PrefixHash.page(after: parent, tokens: run)`.
    ///   - parent: the prefix hash of the page before, or the space root.
    ///   - source: the page's bytes, copied before the call returns.
    ///   - now: milliseconds since the Unix epoch.
    ///   - isStored: whether the cold tier has the page already.
    /// - Complexity: one copy of the page, outside of any lock; evicts as many pages as are needed for one.
    package func insert(
        _ tokens: ArraySlice<TokenID>, pageIndex: Int, hash: PrefixHash, parent: PrefixHash, source: PageSource,
        now: Int64, isStored: Bool
    ) -> InsertOutcome {
        let page = NewPage(
            run: run(of: tokens, pageIndex), pageIndex: Int32(pageIndex), hash: hash, parent: parent, now: now,
            isStored: isStored)
        assert(hash == PrefixHash.page(after: parent, tokens: page.run), "the hash is not that of the page's token ids")
        let parentNode: Int32
        switch tier.state.withLock({ $0.beginInsert(page, in: record) }) {
        case .done(let outcome): return outcome
        case .copy(let parent): parentNode = parent
        }
        guard let slot = tier.makeRoom(in: record, now: now) else {
            tier.state.withLock { $0.abandonInsert(parent: parentNode) }
            return .noRoom
        }
        // The slot is this call's alone until the page is published, so nothing is locked here.
        record.target(slot).copy(tokens: page.run.count, from: source, record.layout)
        record.runs.write(page.run, to: slot)
        return tier.state.withLock { $0.finishInsert(page, slot: slot, parent: parentNode, in: record) }
    }

    private func run(of tokens: ArraySlice<TokenID>, _ pageIndex: Int) -> ArraySlice<TokenID> {
        let pageSize = record.layout.pageSize
        precondition(pageIndex >= 0 && pageIndex < (tokens.count + pageSize - 1) / pageSize, "no tokens for this page")
        let start = tokens.startIndex + pageIndex * pageSize
        let run = tokens[start..<min(start + pageSize, tokens.endIndex)]
        precondition(run.count == pageSize || record.layout.isDivisible, "an opaque layout has no tails")
        return run
    }
}
