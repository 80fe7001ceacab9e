// Dates: from when on a page in RAM is a miss.

package import KVFormat
internal import Threads

extension HotTier {
    /// Gives pages their dates; pages that are not here are passed over. From its date on a page and all behind it are
    /// a miss, and the next match or insert that meets it takes them out.
    ///
    /// - Parameter dates: milliseconds since the Unix epoch by prefix hash; 0 takes a date off.
    package func setExpiry(_ dates: [PrefixHash: Int64]) {
        state.withLock { state in
            for (hash, date) in dates {
                let node = state.tree.page(hash)
                if node != RadixNode.none { state.tree.nodes[Int(node)].expiry = date }
            }
        }
    }
}
