// A spill of one hot page: a pin that can travel to another thread.

package import KVFormat
internal import Threads

/// Keeps one page, and the pages before it, in RAM while the page is encoded, or written to the cold tier: until
/// `release()` or the object's end, whichever comes first. (Code that reads at once holds a `HotMatch` instead.)
/// Thread-safe.
package final class SpillPin: @unchecked Sendable {
    // Unchecked because the variables are only touched under the lock of the tier's state.
    private let tier: HotTier
    private let record: SpaceRecord
    private let node: Int32
    private let row: Int32
    private let parent: PrefixHash
    private let firstToken: Int
    private let tokenCount: Int
    private var isQueued = false
    private var isReleased = false

    /// The page's prefix hash.
    package let hash: PrefixHash

    /// Takes over one of the pins of `node`.
    init(tier: HotTier, record: SpaceRecord, node: Int32, _ page: RadixNode, parent: PrefixHash) {
        self.tier = tier
        self.record = record
        self.node = node
        self.parent = parent
        row = page.row
        hash = page.hash
        firstToken = Int(page.depth) * record.layout.pageSize
        tokenCount = Int(page.tokenCount)
    }

    deinit { release() }

    /// The page's name with a copy of its token ids. Do not use it after the release.
    package var name: PageName {
        let tokens = tier.state.withLock { _ in
            precondition(!isReleased, Self.released)
            return record.runs.read(row, count: tokenCount)
        }
        return PageName(
            root: record.root, parent: parent, hash: hash, firstToken: firstToken, tokens: tokens[...],
            seal: record.seal)
    }

    /// The shape of the page.
    package var layout: KVLayout { record.layout }

    /// What there is of the page now. A record stays until the release; staged bytes as long as their object lives.
    package var content: HotContent {
        tier.state.withLock { state in
            precondition(!isReleased, Self.released)
            return state.content(of: node)
        }
    }

    /// Whether the page is not encoded yet.
    package var isStaged: Bool {
        tier.state.withLock { state in !isReleased && state.tree.nodes[Int(node)].body == .staged }
    }

    /// Keeps the page's record instead of its staged bytes. Does nothing when it has a record already.
    ///
    /// - Parameter record: copied before the call returns.
    /// - Returns: false when nothing could be evicted for it. The page then stays staged until its last pin has gone,
    ///   and is a miss afterwards.
    /// - Complexity: one copy of the record, with no lock held; evicts as many pages as the record needs.
    package func keep(_ record: RawSpan, now: Int64) -> Bool {
        guard isStaged else { return true }
        guard let room = tier.makeRoom(record.byteCount, now: now) else { return false }
        room.copy(record)
        tier.state.withLock { $0.settle(node, room.seat) }
        return true
    }

    /// Notes that the page was queued, so that `HotTier.dirtyPath` leaves it out until this pin ends. Does nothing when
    /// the pin has already ended.
    package func noteQueued() {
        tier.state.withLock { state in
            guard !isReleased, !isQueued else { return }
            isQueued = true
            state.tree.nodes[Int(node)].spills += 1
        }
    }

    /// Records that the cold tier has committed the page. Do not call it after the release.
    package func markStored() {
        tier.state.withLock { state in
            precondition(!isReleased, Self.released)
            state.tree.nodes[Int(node)].isStored = true
            state.refresh(node)
        }
    }

    /// Records that the cold tier has lost pages before this one: they are dirty again. Does nothing after the release.
    package func markPathUnstored() {
        tier.state.withLock { state in
            guard !isReleased else { return }
            var node = state.tree.nodes[Int(self.node)].parent
            while node != RadixNode.none, state.tree.nodes[Int(node)].isPage {
                state.tree.nodes[Int(node)].isStored = false
                state.refresh(node)
                node = state.tree.nodes[Int(node)].parent
            }
        }
    }

    /// Releases the page now. A second call does nothing.
    package func release() {
        tier.state.withLock { state in
            guard !isReleased else { return }
            isReleased = true
            if isQueued { state.tree.nodes[Int(node)].spills -= 1 }
            state.unpin(node)
        }
    }

    private static let released = "this page was let go already"
}
