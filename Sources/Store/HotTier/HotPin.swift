// A pin on one page that can travel to another thread.

package import KVFormat
private import Synchronization

/// Keeps one page, and with it the pages before it, in RAM until `release()` or the object's end. For the spill queue,
/// whose entries are written later and by another thread; what reads at once holds a `HotMatch`. Thread-safe.
package final class HotPin: Sendable {
    private let tier: HotTier
    private let record: SpaceRecord
    private let node: Int32
    private let slot: Int32
    private let isReleased = Atomic(false)

    /// The page's prefix hash.
    package let hash: PrefixHash
    /// The prefix hash of the page before, or the space root.
    package let parentHash: PrefixHash
    /// The position of the page's first token in its sequence, from 0.
    package let firstToken: Int
    /// Tokens of the page.
    package let tokenCount: Int

    /// Takes over one pin that `node` has.
    init(tier: HotTier, record: SpaceRecord, node: Int32, _ page: RadixNode, parentHash: PrefixHash) {
        self.tier = tier
        self.record = record
        self.node = node
        self.parentHash = parentHash
        slot = page.slot
        hash = page.hash
        firstToken = Int(page.depth) * record.layout.pageSize
        tokenCount = Int(page.tokenCount)
    }

    deinit { release() }

    /// The root of the page's space.
    package var root: PrefixHash { record.root }

    /// The shape of the page.
    package var layout: KVLayout { record.layout }

    /// The page's bytes: in one piece, planes of `pageSize` tokens. Valid until the release.
    package var source: PageSource {
        checkNotReleased()
        return record.source(slot)
    }

    /// The page's token ids, copied. Not after the release.
    package var tokens: [TokenID] {
        checkNotReleased()
        return record.runs.read(slot, count: tokenCount)
    }

    /// Says that a spill of the page was queued, so that `HotTier.dirtyPath` leaves it out until
    /// `HotTier.countSpillEnd`. Not after the release.
    package func countSpill() {
        checkNotReleased()
        tier.countSpill(node)
    }

    /// Lets the page go now. A second call does nothing.
    package func release() {
        if !isReleased.exchange(true, ordering: .acquiringAndReleasing) { tier.unpin(node) }
    }

    private func checkNotReleased() {
        precondition(!isReleased.load(ordering: .acquiring), "this page was let go already")
    }
}
