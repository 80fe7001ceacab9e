// A spill of one hot page: a pin that can travel to another thread.

package import KVFormat
internal import Threads

/// Keeps one page, and the pages before it, in RAM while the page is written to the cold tier: until `release()` or the
/// object's end, whichever comes first. (Code that reads at once holds a `HotMatch` instead.) Thread-safe.
package final class SpillPin: @unchecked Sendable {
    // Unchecked because the variables are only touched under the lock of the tier's state.
    private let tier: HotTier
    private let record: SpaceRecord
    private let node: Int32
    private let seat: Int32
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
        seat = page.seat
        hash = page.hash
        firstToken = Int(page.depth) * record.layout.pageSize
        tokenCount = Int(page.tokenCount)
    }

    deinit { release() }

    /// The page's name with a copy of its token ids. Do not use it after the release.
    package var name: PageName {
        checkNotReleased()
        return PageName(
            root: record.root, parent: parent, hash: hash, firstToken: firstToken,
            tokens: record.runs.read(seat, count: tokenCount)[...], seal: record.seal)
    }

    /// The shape of the page.
    package var layout: KVLayout { record.layout }

    /// The page's bytes: in one piece, planes of `pageSize` tokens. Valid until the release.
    package var source: PageSource {
        checkNotReleased()
        return record.source(seat)
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

    private func checkNotReleased() { tier.state.withLock { _ in precondition(!isReleased, Self.released) } }
}
