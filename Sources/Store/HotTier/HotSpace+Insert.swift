// Copying a page into the hot tier.

package import KVFormat
internal import Threads

/// The outcome of an insert. No outcome is an error: a page that is not in RAM is recomputed or read from disk.
package enum InsertOutcome: Sendable {
    /// The page is in RAM now.
    case inserted
    /// The page, or a longer one that begins with its token ids, was there already. That page counts as used.
    case alreadyThere
    /// Nothing could be evicted for it: everything is pinned or being spilled, or the page is larger than the capacity.
    case noRoom
    /// The page before it is not in RAM, or is a tail.
    case orphan
}

/// A page that is to be added to the tree.
struct NewPage {
    var name: PageName
    /// The page's number in its sequence, from 0.
    var depth: Int32
    var lastUse: Int64
    var isStored: Bool
    /// When the page becomes a miss, according to the cold tier; 0 for never.
    var expiry: Int64
}

extension HotSpace {
    /// Copies one page into the tier and publishes it behind its parent.
    ///
    /// A longer page replaces a tail with the same beginning. A pinned tail stays until its pins are gone.
    ///
    /// - Parameters:
    ///   - name: the name of a page of this space, with as many token ids as the page size, or fewer for a tail, but at
    ///     least one. Opaque layouts have no tails.
    ///   - source: the page's bytes, copied before the call returns.
    ///   - now: milliseconds since the Unix epoch.
    ///   - isStored: whether the cold tier has the page already.
    ///   - expiry: when the cold tier stops serving the page, in milliseconds since the Unix epoch; 0 for never.
    /// - Complexity: one copy of the page, with no lock held; evicts as many pages as one page needs.
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
        // Only this call has the seat until the page is published, so nothing is locked here.
        record.target(seat).copy(tokens: count, from: source, record.layout)
        record.runs.write(name.tokens, to: seat)
        return tier.state.withLock { $0.finishInsert(page, seat: seat, parent: parentNode, in: record) }
    }
}
