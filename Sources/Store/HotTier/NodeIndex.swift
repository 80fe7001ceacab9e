// From prefix hash to node.

internal import KVFormat

/// An open-addressing table with linear probing. A look-up reads one or two neighbouring entries, and memory is
/// allocated only when the table doubles. Prefix hashes are SHA-256 digests, so their first word is spread well without
/// further hashing.
struct NodeIndex {
    private struct Entry {
        var word: UInt64
        var node: Int32
    }

    private static let empty = Entry(word: 0, node: RadixNode.none)

    private var entries = [Entry](repeating: Self.empty, count: 64)
    /// Hashes in the table.
    private(set) var count = 0

    private var mask: Int { entries.count - 1 }

    private func home(_ word: UInt64) -> Int { Int(truncatingIfNeeded: word) & mask }

    /// The node of `nodes` with `hash`, or `none`.
    func node(_ hash: PrefixHash, in nodes: [RadixNode]) -> Int32 {
        var position = home(hash.prefixWord)
        while entries[position].node != RadixNode.none {
            let entry = entries[position]
            if entry.word == hash.prefixWord && nodes[Int(entry.node)].hash == hash { return entry.node }
            position = (position + 1) & mask
        }
        return RadixNode.none
    }

    /// Adds `node` under `hash`, which must not be in the table.
    mutating func insert(_ hash: PrefixHash, _ node: Int32) {
        if 2 * (count + 1) > entries.count { grow() }
        place(Entry(word: hash.prefixWord, node: node))
        count += 1
    }

    /// Removes `node`, which must be in the table under `hash`.
    mutating func remove(_ hash: PrefixHash, _ node: Int32) {
        var hole = home(hash.prefixWord)
        while entries[hole].node != node {
            precondition(entries[hole].node != RadixNode.none, "a node is missing from the hash index")
            hole = (hole + 1) & mask
        }
        // Entries behind the hole move up when their home is not behind it: no tombstones, so look-ups stay short.
        var position = (hole + 1) & mask
        while entries[position].node != RadixNode.none {
            let distance = (position - home(entries[position].word)) & mask
            if distance >= (position - hole) & mask {
                entries[hole] = entries[position]
                hole = position
            }
            position = (position + 1) & mask
        }
        entries[hole] = Self.empty
        count -= 1
    }

    private mutating func place(_ entry: Entry) {
        var position = home(entry.word)
        while entries[position].node != RadixNode.none { position = (position + 1) & mask }
        entries[position] = entry
    }

    private mutating func grow() {
        let old = entries
        entries = [Entry](repeating: Self.empty, count: 2 * old.count)
        for entry in old where entry.node != RadixNode.none { place(entry) }
    }

    /// Bytes of the table.
    var byteCount: Int { entries.count * MemoryLayout<Entry>.stride }
}
