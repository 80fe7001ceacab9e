// Taking pages into the hot tier: as records, or as the bytes that an engine gives, which are encoded later.

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
    /// The staging memory is full, or is not to be used: the page must be encoded first.
    case notStaged
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
    /// Copies the record of one page into the tier and publishes the page behind its parent.
    ///
    /// A longer page replaces a tail with the same beginning. A pinned tail stays until its pins are gone.
    ///
    /// - Parameters:
    ///   - name: the name of a page of this space, with as many token ids as the page size, or fewer for a tail, but at
    ///     least one. Opaque layouts have no tails.
    ///   - record: the page's record, copied before the call returns. The tier does not look into it.
    ///   - now: milliseconds since the Unix epoch.
    ///   - isStored: whether the cold tier has the page already.
    ///   - expiry: when the cold tier stops serving the page, in milliseconds since the Unix epoch; 0 for never.
    /// - Complexity: one copy of the record, with no lock held; evicts as many pages as the record needs.
    package func insert(
        _ name: PageName, record: RawSpan, now: Int64, isStored: Bool, expiry: Int64 = 0
    ) -> InsertOutcome {
        let page = newPage(name, now, isStored: isStored, expiry)
        let parent: Int32
        switch tier.state.withLock({ $0.beginInsert(page, in: self.record) }) {
        case .done(let outcome): return outcome
        case .copy(let node): parent = node
        }
        guard let room = tier.makeRoom(record.byteCount, now: now) else {
            tier.state.withLock { $0.abandonInsert(parent: parent) }
            return .noRoom
        }
        // Only this call has the seat until the page is published, so nothing is locked here.
        room.copy(record)
        return tier.state.withLock { $0.finishInsert(page, .record(room.seat), parent: parent, in: self.record) }
    }

    /// Copies the bytes of one page into the staging memory and publishes the page behind its parent. It can be matched
    /// and loaded at once. `SpillPin.keep` then replaces the bytes by the page's record.
    ///
    /// - Parameters:
    ///   - source: the page's bytes, copied before the call returns. The other parameters are those of
    ///     `insert(_:record:now:isStored:expiry:)`.
    ///   - copies: false to ask only whether the page is missing, which `.notStaged` says then.
    /// - Returns: after `.inserted` a pin, which the caller passes to whom encodes the page. Without one the page would
    ///   stay in the staging memory for ever.
    /// - Complexity: one copy of the page, with no lock held.
    package func stage(
        _ name: PageName, source: PageSource, now: Int64, copies: Bool = true
    ) -> (outcome: InsertOutcome, pin: SpillPin?) {
        let page = newPage(name, now, isStored: false, 0)
        let parent: Int32
        switch tier.state.withLock({ $0.beginInsert(page, in: record) }) {
        case .done(let outcome): return (outcome, nil)
        case .copy(let node): parent = node
        }
        guard tier.state.withLock({ $0.arena.canHold(layout.bytesPerPage) }) else {
            tier.state.withLock { $0.abandonInsert(parent: parent) }
            return (.noRoom, nil)
        }
        guard copies, let staged = tier.staging.take(layout) else {
            tier.state.withLock { $0.unpin(parent) }
            return (.notStaged, nil)
        }
        staged.target.copy(tokens: name.tokens.count, from: source, layout)
        return tier.state.withLock { state in
            let outcome = state.finishInsert(page, .staged, parent: parent, in: record)
            guard outcome == .inserted else { return (outcome, nil) }
            let node = state.tree.page(name.hash)
            state.staged[node] = staged
            return (outcome, tier.pinned(node, of: &state))
        }
    }

    func newPage(_ name: PageName, _ now: Int64, isStored: Bool, _ expiry: Int64) -> NewPage {
        let pageSize = layout.pageSize
        let count = name.tokens.count
        precondition((1...pageSize).contains(count) && name.firstToken % pageSize == 0, "\(count) tokens are no page")
        precondition(count == pageSize || layout.isDivisible, "an opaque layout has no tails")
        assert(name.root == root, "the page belongs to another space")
        assert(name.isSound, "the hash is not that of the page's token ids")
        return NewPage(
            name: name, depth: Int32(name.firstToken / pageSize), lastUse: now, isStored: isStored, expiry: expiry)
    }
}
