// Removing pages: one page, or one page with all that follow it.

internal import KVFormat
internal import LMDB
internal import PageCodec

extension WriteSession {
    /// Deletes everything that a page has in the tables. Its children stay; the caller must remove them first.
    /// - Returns: the freed bytes, with those of the index.
    @discardableResult
    mutating func remove(_ hash: PrefixHash, _ transaction: inout WriteTransaction) throws(LMDBError) -> Int {
        let key = hash.bytes
        let used = counters.usedBytes
        let valueBytes = try transaction.valueBytes(tables.pages, key)
        let nodeBytes = try transaction.valueBytes(tables.nodes, key)
        guard valueBytes != nil || nodeBytes != nil else { return 0 }
        if let node = try transaction.node(hash, tables).record {
            let edge = EdgeKey(parent: node.parent, tokens: node.edgeTokens, child: hash)
            try transaction.erase(tables.edges, edge.encoded)
            if let recency = try transaction.recency(hash, tables).record {
                for entry in QueueKey.entries(of: hash, recency, firstToken: node.firstToken) {
                    try transaction.erase(tables.queue, entry.encoded)
                }
            }
            counters.count(node, by: -1)
        } else {
            // The node cannot be read: subtract what can be seen of it. Its edge and queue entry now lead nowhere, and
            // a walk that meets them deletes them.
            counters.count(unreadable: nodeBytes, valueBytes: valueBytes, by: -1)
        }
        try removeSides(of: hash, &transaction)
        try requireOwnRecord(tables.pages, key, of: hash, &transaction)
        try transaction.erase(tables.pages, key)
        try transaction.erase(tables.nodes, key)
        try transaction.erase(tables.recency, key)
        return Int(clamping: used &- min(used, counters.usedBytes))
    }

    /// Deletes a page and all that follow it, the deepest first.
    ///
    /// - Returns: the pages deleted.
    mutating func removeSubtree(
        of hash: PrefixHash, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> [PrefixHash] {
        let subtree = try subtree(of: hash, &transaction)
        for member in subtree.reversed() { try remove(member, &transaction) }
        return subtree
    }

    /// A page and all that follow it, parents before children.
    func subtree(of hash: PrefixHash, _ transaction: inout WriteTransaction) throws(LMDBError) -> [PrefixHash] {
        var members = [hash]
        // A damaged edge could make a cycle.
        var seen: Set<PrefixHash> = [hash]
        var next = 0
        while next < members.count {
            for child in try transaction.children(of: members[next], tables) where seen.insert(child).inserted {
                members.append(child)
            }
            next += 1
        }
        return members
    }

    /// The first child of a page that really exists. Edges that lead nowhere are deleted on the way.
    mutating func firstChild(
        of hash: PrefixHash, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> PrefixHash? {
        while let key = try transaction.keys(
            tables.edges, from: hash.bytes, limit: 1, while: { $0.starts(with: hash.bytes) }
        )
        .first {
            if let child = unsafe EdgeKey(key.span.bytes)?.child, try transaction.has(tables.nodes, child.bytes) {
                return child
            }
            try transaction.erase(tables.edges, key)
        }
        return nil
    }

    /// The key of a page's first side state.
    func firstSide(of hash: PrefixHash, _ transaction: inout WriteTransaction) throws(LMDBError) -> [UInt8]? {
        try transaction.keys(tables.sides, from: hash.bytes, limit: 1) { $0.starts(with: hash.bytes) }.first
    }

    /// Deletes the side states of a page.
    private mutating func removeSides(of hash: PrefixHash, _ transaction: inout WriteTransaction) throws(LMDBError) {
        while let key = try firstSide(of: hash, &transaction) { try removeSide(key, &transaction) }
    }

    /// Deletes one side state, if it is there.
    mutating func removeSide(_ key: [UInt8], _ transaction: inout WriteTransaction) throws(LMDBError) {
        guard let bytes = try transaction.valueBytes(tables.sides, key) else { return }
        let side = unsafe SideKey(key.span.bytes)
        try requireOwnRecord(
            tables.sides, key, of: side.map { .sideState(of: $0.hash, name: $0.name) }, &transaction)
        counters.sideStates.shift(by: -1)
        counters.slotBytes.shift(by: -(bytes + SlotSize.header))
        try transaction.erase(tables.sides, key)
    }

    // MARK: Whose record it is

    /// Throws `.damaged` when the value under a key that is about to be deleted or replaced may be another entry's.
    ///
    /// LMDB gives back the pages of such a value. Where a flipped bit has made an entry lead to another entry's record,
    /// that one would lose its pages and be written over by what is stored next. A record names its key; one that names
    /// another, or none, is the sign to count every page of the file.
    mutating func requireOwnRecord(
        _ table: Table, _ key: [UInt8], of owner: PrefixHash?, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        let found = try transaction.read(table, key) { RecordHeader.storedKey($0) }
        if case .missing = found { return }
        if let owner, found.record == owner { return }
        guard !hasSoundTrees else { return }
        try transaction.requireSoundTrees()
        hasSoundTrees = true
    }
}
