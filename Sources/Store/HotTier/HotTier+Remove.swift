// Taking pages out that are damaged, expired, trimmed or no longer wanted.

package import KVFormat
internal import Threads

extension HotTier {
    /// Takes out the page with `hash` and all pages behind it. Pinned pages stay, and the pages before them.
    ///
    /// - Returns: the pages taken out.
    @discardableResult
    package func remove(_ hash: PrefixHash) -> Int {
        state.withLock { state in
            let node = state.tree.page(hash)
            return node == RadixNode.none ? 0 : state.removeSubtree(of: node)
        }
    }

    /// Takes out all pages of all spaces but the pinned ones and the pages before them.
    ///
    /// - Returns: the pages taken out.
    @discardableResult
    package func removeAll() -> Int {
        state.withLock { state in
            state.tree.spaces.reduce(0) { removed, space in removed + state.removeSubtree(of: space.rootNode) }
        }
    }
}
