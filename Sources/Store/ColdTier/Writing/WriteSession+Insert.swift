// Storing one page or block: record, node, edge, recency, queue and counters together.

internal import KVFormat
internal import LMDB
internal import Records

extension WriteSession {
    /// Stores a page or block whose parent is there, and for which there is room.
    ///
    /// - Parameter place: the position of a page's first token; how many blocks come before a block.
    mutating func insert(
        _ page: PageRecord, at place: Int, _ flags: NodeRecord.Flags, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        let name = page.name
        let used = min(page.lastUse, now)
        let node = NodeRecord(
            name, at: place, codec: page.bytes.encodedBytes < page.bytes.rawBytes ? 1 : 0, flags: flags,
            rawBytes: UInt64(page.bytes.rawBytes), encodedBytes: UInt64(page.bytes.encodedBytes), createdAt: used)
        let key = name.hash.bytes
        try requireOwnRecord(tables.pages, key, of: name.hash, &transaction)
        try transaction.writeSlot(tables.pages, key, page.bytes.bytes, within: recordBound)
        try transaction.write(tables.nodes, key, node.encoded(key: name.hash))
        let edge = EdgeKey(parent: name.parent, tokens: node.edgeTokens, child: name.hash)
        try transaction.write(tables.edges, edge.encoded, EdgeKey.value(tokenCount: name.tokens.count))
        let recency = RecencyRecord(lastUse: used)
        try write(recency, of: name.hash, firstToken: node.firstToken, replacing: nil, &transaction)
        try transaction.erase(tables.quarantine, key)
        counters.count(node, by: 1)
        try update(name.root, &transaction) { $0.lastUse = used }
        spared.insert(name.hash)
    }

    /// Counts uses of a page; does nothing when it is not stored.
    mutating func touch(_ hash: PrefixHash, _ touch: Touch, _ transaction: inout WriteTransaction) throws(LMDBError) {
        guard let node = try transaction.node(hash, tables).record else { return }
        let stored = try transaction.recency(hash, tables).record
        let used = min(touch.lastUse, now)
        let old = stored ?? RecencyRecord(lastUse: used, uses: 0)
        if old.expiry != 0 { dates[hash] = old.expiry }
        if touch.matches > 0 {
            try history(&transaction) { $0.countReturn(of: old.use, bytes: node.slotBytes, at: used) }
        }
        let new = old.used(touch, at: used)
        try write(new, of: hash, firstToken: node.firstToken, replacing: stored, &transaction)
        try update(node.root, &transaction) { space in
            space.hitTokens.shift(by: Int(node.tokenCount) * Int(touch.uses))
            space.lastUse = used
        }
    }

    /// Writes a page's recency, and keeps its places in the eviction order in step with it.
    mutating func write(
        _ recency: RecencyRecord, of hash: PrefixHash, firstToken: UInt32, replacing old: RecencyRecord?,
        _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        let before = old.map { QueueKey.entries(of: hash, $0, firstToken: firstToken) } ?? []
        let after = QueueKey.entries(of: hash, recency, firstToken: firstToken)
        for entry in before where !after.contains(entry) { try transaction.erase(tables.queue, entry.encoded) }
        for entry in after where !before.contains(entry) { try transaction.write(tables.queue, entry.encoded, []) }
        try transaction.write(tables.recency, hash.bytes, recency.encoded(key: hash))
    }

    /// Deletes tails of the same parent that `page` begins with, because a match finds their tokens in `page`. Tails
    /// that are pinned or have side states stay. At most `Limits.alternatives` children are checked.
    ///
    /// - Returns: how many were deleted.
    mutating func replaceTails(of page: PageName, _ transaction: inout WriteTransaction) throws(LMDBError) -> Int {
        var replaced = 0
        for hash in try tails(of: page, &transaction) {
            guard let node = try transaction.node(hash, tables).record, node.flags.contains(.tail),
                let tokens = node.tokens(of: hash, by: page.seal), tokens.count < page.tokens.count,
                page.tokens.starts(with: tokens),
                try transaction.recency(hash, tables).record?.pins == 0,
                try firstSide(of: hash, &transaction) == nil
            else { continue }
            try remove(hash, &transaction)
            replaced += 1
        }
        return replaced
    }

    /// Children of the same parent whose token ids are the first token ids of the page.
    private func tails(of page: PageName, _ transaction: inout WriteTransaction) throws(LMDBError) -> [PrefixHash] {
        if let seal = page.seal, let first = page.tokens.first {
            let family = EdgeKey.start(parent: page.parent, tokens: seal.edgeTokens(parent: page.parent, first: first))
            let keys = try transaction.keys(tables.edges, from: family, limit: Limits.alternatives) {
                $0.starts(with: family)
            }
            return keys.map { key in unsafe EdgeKey.child(key.span.bytes) }.filter { $0 != page.hash }
        }
        var found: [PrefixHash] = []
        let wanted = page.tokens.prefix(EdgeKey.tokens)
        let start = EdgeKey.start(parent: page.parent, tokens: wanted)
        // Children that share no token with the page end the walk in either direction.
        let family = EdgeKey.start(parent: page.parent, tokens: wanted.prefix(1))
        func consider(_ key: RawSpan) -> Bool {
            guard key.starts(with: family), let edge = EdgeKey(key) else { return false }
            if edge.child != page.hash, wanted.starts(with: edge.first) { found.append(edge.child) }
            return true
        }
        var cursor = try transaction.cursor(tables.edges)
        var seen = 0
        var isThere = try unsafe cursor.seek(start.span.bytes)
        while isThere, seen < Limits.alternatives / 2, consider(cursor.key) {
            seen += 1
            isThere = try cursor.next()
        }
        // After a seek beyond the last key the cursor is on no entry, and `previous` then moves to the last key.
        isThere = try unsafe cursor.seek(start.span.bytes)
        isThere = try cursor.previous()
        while isThere, seen < Limits.alternatives, consider(cursor.key) {
            seen += 1
            isThere = try cursor.previous()
        }
        return found
    }
}

extension RecencyRecord {
    /// The record after more uses, the last of them at `now`. A stored time far in the future comes from a clock that
    /// jumped, and is dropped.
    fileprivate func used(_ touch: Touch, at now: Int64) -> RecencyRecord {
        var use = use
        use.keep(at: now)
        use.branch(Int(touch.branches))
        var new = self
        new.setUse(use)
        new.uses = UInt32(clamping: Int(uses) + Int(touch.uses))
        return new
    }
}
