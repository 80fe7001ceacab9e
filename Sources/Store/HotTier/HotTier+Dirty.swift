// The pages that the cold tier does not have yet.

package import KVFormat
internal import Threads

extension HotTier {
    /// Pins the pages that the cold tier does not have, each before those that follow it.
    /// - Parameter limit: the most pages to pin; those nearest to the roots come first.
    /// - Complexity: visits each page once, under the mutex.
    package func dirtyPages(limit: Int = .max) -> [SpillPin] {
        state.withLock { state in
            state.tree.dirtyNodes().prefix(limit).map { pinned($0, of: &state) }
        }
    }

    /// Pins the pages of the path to `hash`, the page itself included, that the cold tier does not have and that are
    /// not queued yet. The first page comes first. Empty when the page is stored, queued, or not here.
    ///
    /// - Complexity: the walk ends at the first page that is stored or queued, because the pages before it were stored
    ///   or queued earlier. So a sequence that is inserted page by page costs one visit per page, not one per pair of
    ///   pages.
    package func dirtyPath(to hash: PrefixHash) -> [SpillPin] {
        state.withLock { state in
            var path: [SpillPin] = []
            var node = state.tree.page(hash)
            while node != RadixNode.none, state.tree.nodes[Int(node)].needsSpill {
                path.append(pinned(node, of: &state))
                node = state.tree.nodes[Int(node)].parent
            }
            return path.reversed()
        }
    }
}

extension RadixNode {
    /// Whether the page is here and not on disk.
    fileprivate var isUnstored: Bool { isPage && !isStored && body != .none }
    fileprivate var needsSpill: Bool { isUnstored && spills == 0 }
}

extension RadixTree {
    /// The pages that the cold tier needs and does not have, by depth. Superseded tails are not worth a write.
    fileprivate func dirtyNodes() -> [Int32] {
        let dirty = nodes.indices.filter { nodes[$0].isUnstored && !nodes[$0].isSuperseded }
        return dirty.sorted { nodes[$0].depth < nodes[$1].depth }.map(Int32.init)
    }
}
