// Which pages of a batch are stored already, so that nobody encodes them again.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Which of these pages are stored and trusted. One read transaction for all of them, two look-ups a page.
    ///
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.damaged`, `.system`.
    package func known(_ hashes: [PrefixHash]) throws(StoreError) -> Set<PrefixHash> {
        let suspects = pending.suspects
        return try reading { (transaction) throws(LMDBError) in
            var known: Set<PrefixHash> = []
            for hash in hashes where suspects[hash] == nil {
                guard try transaction.has(tables.pages, hash.bytes), try transaction.has(tables.nodes, hash.bytes)
                else { continue }
                known.insert(hash)
            }
            return known
        }
    }
}
