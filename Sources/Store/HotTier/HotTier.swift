// The RAM tier of a store.

package import KVFormat
internal import Threads

/// Pages in RAM that are found by token ids, each as the record that the cold tier has of it too. All spaces of a store
/// share one budget in bytes. The tier does not look into the records.
///
/// Thread-safe. One mutex guards tree, eviction order and seats. It is held for microseconds, and never while page
/// bytes are copied or the spill closure runs. Leases (`HotMatch`) and pins (`SpillPin`) keep the tier alive.
package final class HotTier: Sendable {
    let state: Guarded<TierState>
    /// Pages that are not encoded yet.
    let staging: Staging
    let spillBeforeEvict: (@Sendable (SpillPin) -> Bool)?

    /// Makes an empty tier. Memory is taken as pages are inserted.
    ///
    /// - Parameters:
    ///   - capacity: bytes for records. A tier with fewer bytes than one page needs takes no pages, and every match is
    ///     a miss.
    ///   - stagingCapacity: bytes for pages that are not encoded yet, apart from `capacity`.
    ///   - spillBeforeEvict: called on the inserting thread, without the mutex, with each page that must be evicted and
    ///     that the cold tier does not have. It returns true when it takes the page over. The page then stays until its
    ///     pin is released, and another page is evicted now, unless the closure has already marked it as stored and
    ///     released it. It returns false when the page may be dropped. It may call the tier. Without a closure such
    ///     pages are dropped.
    /// - Throws: `StoreError.invalidOption` when the capacity is outside `Limits.hotCapacity`.
    package init(
        capacity: ByteCount, stagingCapacity: ByteCount = .zero, spillBeforeEvict: (@Sendable (SpillPin) -> Bool)? = nil
    ) throws(StoreError) {
        guard Limits.hotCapacity.contains(capacity) else {
            throw .outside(Limits.hotCapacity, "hot capacity", capacity)
        }
        state = Guarded(TierState(capacity: Int(capacity.value)))
        staging = Staging(capacity: Int(clamping: stagingCapacity.value))
        self.spillBeforeEvict = spillBeforeEvict
    }

    /// The space with `root`. Calls with the same root return the same object as long as a reference to it exists. The
    /// pages of the space outlive the object.
    ///
    /// - Throws: `StoreError.invalidLayout` when the space is there with another layout.
    package func space(
        root: PrefixHash, layout: KVLayout, seal: SpaceSeal? = nil
    ) throws(StoreError) -> HotSpace {
        try state.withLock { (state) throws(StoreError) -> HotSpace in
            if let space = state.handles[root]?.space { return try space.checked(layout) }
            let record: SpaceRecord
            if let known = state.tree.spaces.first(where: { $0.root == root }) {
                record = known
            } else {
                record = state.tree.addSpace(root: root, layout: layout, seal: seal)
            }
            let space = HotSpace(tier: self, record: record)
            state.handles[root] = WeakSpace(space: space)
            return try space.checked(layout)
        }
    }

    /// What the tier holds and what has happened to it.
    package var statistics: HotStatistics {
        var numbers = state.withLock { $0.statistics }
        numbers.stagedBytes = ByteCount(UInt64(staging.usedBytes))
        return numbers
    }

    /// What is wrong with the tier's structures; empty unless there is a bug. Slow: for tests.
    package func checkInvariants() -> [String] { state.withLock { $0.checkInvariants() } }

    func unpin(_ node: Int32) { state.withLock { $0.unpin(node) } }
}
