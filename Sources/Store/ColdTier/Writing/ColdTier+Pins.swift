// Pins, expiry and removal by name.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Adds one pin to every page of a path. A page is not evicted until it has been unpinned as often as it was
    /// pinned. Pins are stored.
    ///
    /// - Parameters:
    ///   - hashes: the whole path, the first page first.
    ///   - name: a name to give to the prefix that ends with the last page, in the same transaction.
    /// - Throws: `.noSuchPage` when one of them is not stored; `.invalidName`, `.tooManyNames`. Then nothing was pinned
    ///   or named.
    package func pin(path hashes: [PrefixHash], name: String? = nil) throws(StoreError) {
        if let name { try Limits.check(prefixName: name) }
        func give(
            _ transaction: inout WriteTransaction, _ session: inout WriteSession
        ) throws(LMDBError) -> StoreError? {
            guard let name, let last = hashes.last else { return nil }
            return try session.setName(name, of: last, &transaction)
        }
        try change(hashes, after: give) { $0.pins = $0.pins == .max ? .max : $0.pins + 1 }
    }

    /// Removes one pin from every page of a path. Pages without pins do not change.
    ///
    /// - Parameters:
    ///   - hashes: the whole path, the first page first.
    ///   - name: a name of the prefix that ends with the last page, which is taken away in the same transaction.
    /// - Throws: `.noSuchPage` when one of them is not stored; `.invalidName` for the name of another prefix,
    ///   `.noSuchName`. Then nothing was changed.
    package func unpin(path hashes: [PrefixHash], removing name: String? = nil) throws(StoreError) {
        if let name { try Limits.check(prefixName: name) }
        func take(
            _ transaction: inout WriteTransaction, _ session: inout WriteSession
        ) throws(LMDBError) -> StoreError? {
            guard let name, let last = hashes.last else { return nil }
            return try session.removeName(name, of: last, &transaction)
        }
        try change(hashes, after: take) { $0.pins = $0.pins == 0 ? 0 : $0.pins - 1 }
    }

    /// Makes a page and all that follow it expire at `date`; nil removes the date. An expired page is a miss, and is
    /// evicted first when room is needed.
    ///
    /// - Throws: `.noSuchPage` when it is not stored.
    package func setExpiry(of hash: PrefixHash, at date: Timestamp?) throws(StoreError) {
        let milliseconds = date?.milliseconds ?? 0
        guard date == nil || milliseconds > 0 else { throw .invalidOption("an expiry before 1970") }
        try change([hash]) { $0.expiry = milliseconds }
    }

    /// Removes a page and all that follow it, even if they are pinned, because the caller named the page.
    ///
    /// - Returns: how many pages were removed.
    /// - Throws: `.noSuchPage` when it is not stored.
    package func remove(_ hash: PrefixHash) throws(StoreError) -> Int {
        let removed = try writing { (transaction, session) throws(LMDBError) -> Int in
            guard try transaction.has(tables.nodes, hash.bytes) else { return 0 }
            return try session.removeSubtree(of: hash, &transaction).count
        }
        guard removed > 0 else { throw .noSuchPage(hash.short) }
        return removed
    }

    /// Removes pages or blocks, each with all that follow it; what is not stored is passed over.
    ///
    /// - Returns: how many were removed.
    /// - Throws: `.diskFull`, `.mapFull`, `.damaged`, `.closed`, `.forked`, `.system`; what was removed until then
    ///   stays removed.
    package func removeAll(_ hashes: [PrefixHash]) throws(StoreError) -> Int {
        var removed = 0
        for start in stride(from: 0, to: hashes.count, by: Limits.transactionEntries) {
            let part = hashes[start..<min(start + Limits.transactionEntries, hashes.count)]
            removed += try writing { (transaction, session) throws(LMDBError) -> Int in
                var count = 0
                for hash in part where try transaction.has(tables.nodes, hash.bytes) {
                    count += try session.removeSubtree(of: hash, &transaction).count
                }
                return count
            }
        }
        return removed
    }

    /// The pages from the first of the sequence to `hash`.
    ///
    /// - Throws: `.noSuchPage` when one of them is not stored, or cannot be read.
    package func path(to hash: PrefixHash) throws(StoreError) -> [PrefixHash] {
        let path = try reading { (transaction) throws(LMDBError) -> [PrefixHash]? in
            var path: [PrefixHash] = []
            var next = hash
            while let node = try transaction.node(next, tables).record {
                path.append(next)
                if node.parent == node.root { return path.reversed() }
                // Positions decrease from child to parent, so a path ends even when damage has made a cycle.
                guard let parent = try transaction.node(node.parent, tables).record, parent.firstToken < node.firstToken
                else { return nil }
                next = node.parent
            }
            return nil
        }
        guard let path else { throw .noSuchPage(hash.short) }
        return path
    }

    /// Changes pages that must all be stored, after `first` has done its part and found nothing wrong.
    private func change(
        _ hashes: [PrefixHash],
        after first: (inout WriteTransaction, inout WriteSession) throws(LMDBError) -> StoreError? = { (_, _) in nil },
        _ change: (inout RecencyRecord) -> Void
    ) throws(StoreError) {
        let failure = try writing { (transaction, session) throws(LMDBError) -> StoreError? in
            for hash in hashes where try transaction.node(hash, tables).record == nil { return .noSuchPage(hash.short) }
            if let failure = try first(&transaction, &session) { return failure }
            for hash in hashes { try session.change(hash, &transaction, change) }
            return nil
        }
        if let failure { throw failure }
    }
}

extension WriteSession {
    /// Changes the pins or the expiry of a page; does nothing when the page is not stored. Keeps the node's flag in
    /// step with the date.
    fileprivate mutating func change(
        _ hash: PrefixHash, _ transaction: inout WriteTransaction, _ change: (inout RecencyRecord) -> Void
    ) throws(LMDBError) {
        guard var node = try transaction.node(hash, tables).record else { return }
        let old = try transaction.recency(hash, tables).record
        var new = old ?? RecencyRecord(lastUse: now)
        change(&new)
        try write(new, of: hash, firstToken: node.firstToken, replacing: old, &transaction)
        guard node.flags.contains(.expires) != (new.expiry != 0) else { return }
        node.flags.formSymmetricDifference(.expires)
        try transaction.write(tables.nodes, hash.bytes, node.encoded(key: hash))
    }

    /// Removes a date that has passed, because the page was inserted again and its bytes are right.
    mutating func liftPassedDate(of hash: PrefixHash, _ transaction: inout WriteTransaction) throws(LMDBError) {
        guard try transaction.recency(hash, tables).record?.isExpired(at: now) == true else { return }
        try change(hash, &transaction) { $0.expiry = 0 }
    }
}
