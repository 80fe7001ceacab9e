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
    var name: PageName
    /// The page's number in its sequence, from 0.
    var depth: Int32
    var lastUse: Int64
    var isStored: Bool
    /// When it becomes a miss, as the cold tier says; 0 for never.
    var expiry: Int64
}

extension HotSpace {
    /// Copies one page in and publishes it behind the page before it.
    ///
    /// A longer page replaces a tail with the same beginning; a tail that is pinned stays until its pins are gone.
    ///
    /// - Parameters:
    ///   - name: the name of a page of this space, with a page's worth of token ids, or at least one for a tail; opaque
    ///     layouts have no tails.
    ///   - source: the page's bytes, copied before the call returns.
    ///   - now: milliseconds since the Unix epoch.
    ///   - isStored: whether the cold tier has the page already.
    ///   - expiry: milliseconds since the Unix epoch from which on the cold tier serves it no more; 0 for never.
    /// - Complexity: one copy of the page, outside of any lock; evicts as many pages as are needed for one.
    package func insert(
        _ name: PageName, source: PageSource, now: Int64, isStored: Bool, expiry: Int64 = 0
    ) -> InsertOutcome {
        let pageSize = record.layout.pageSize
        let count = name.tokens.count
        precondition((1...pageSize).contains(count) && name.firstToken % pageSize == 0, "\(count) tokens are no page")
        precondition(count == pageSize || record.layout.isDivisible, "an opaque layout has no tails")
        assert(name.root == record.root, "the page belongs to another space")
        assert(name.isSound, "the hash is not that of the page's token ids")
        let page = NewPage(
            name: name, depth: Int32(name.firstToken / pageSize), lastUse: now, isStored: isStored, expiry: expiry)
        let parentNode: Int32
        switch tier.state.withLock({ $0.beginInsert(page, in: record) }) {
        case .done(let outcome): return outcome
        case .copy(let parent): parentNode = parent
        }
        guard let seat = tier.makeRoom(in: record, now: now) else {
            tier.state.withLock { $0.abandonInsert(parent: parentNode) }
            return .noRoom
        }
        // The seat is this call's alone until the page is published, so nothing is locked here.
        record.target(seat).copy(tokens: count, from: source, record.layout)
        record.runs.write(name.tokens, to: seat)
        return tier.state.withLock { $0.finishInsert(page, seat: seat, parent: parentNode, in: record) }
    }
}
