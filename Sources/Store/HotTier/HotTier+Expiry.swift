// Dates: when a page in RAM becomes a miss.

package import KVFormat
internal import Threads

extension HotTier {
    /// Sets the dates of pages; pages that are not here are skipped. From its date on, a page and all pages behind it
    /// are a miss, and the next match or insert that meets the page removes them.
    /// - Parameter dates: milliseconds since the Unix epoch, by prefix hash; 0 removes a date.
    package func setExpiry(_ dates: [PrefixHash: Int64]) {
        state.withLock { state in
            for (hash, date) in dates {
                let node = state.tree.page(hash)
                if node != RadixNode.none { state.tree.nodes[Int(node)].expiry = date }
            }
        }
    }
}
