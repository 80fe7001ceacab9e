// Names that people give to prefixes. A name keeps nothing: a prefix that must stay needs a pin.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Gives a name to the prefix that ends with page `hash`; durable when this returns. A name that another prefix had
    /// is this one's from then on; a prefix may have several.
    ///
    /// - Throws: `.invalidName`, `.noSuchPage`, `.tooManyNames`; nothing was changed then. `.diskFull`, `.mapFull`,
    ///   `.damaged`, `.closed`, `.forked`, `.system`.
    package func setName(_ name: String, of hash: PrefixHash) throws(StoreError) {
        try Limits.check(prefixName: name)
        let failure = try writing { (transaction, session) throws(LMDBError) in
            try session.setName(name, of: hash, &transaction)
        }
        if let failure { throw failure }
    }

    /// Takes a name away; its prefix stays as it is. A damaged entry goes as well.
    ///
    /// - Parameter hash: the last page of the prefix that must have the name; nil for any.
    /// - Throws: `.invalidName`, also for the name of another prefix than `hash`; `.noSuchName`, and as `setName`.
    package func removeName(_ name: String, of hash: PrefixHash? = nil) throws(StoreError) {
        try Limits.check(prefixName: name)
        let failure = try writing { (transaction, session) throws(LMDBError) in
            try session.removeName(name, of: hash, &transaction)
        }
        if let failure { throw failure }
    }

    /// What has this name; nil when nothing has, or its entry is damaged.
    ///
    /// - Throws: `.invalidName`, `.closed`, `.forked`, `.readersFull`, `.damaged`, `.system`.
    package func prefix(named name: String) throws(StoreError) -> NamedPrefix? {
        try Limits.check(prefixName: name)
        let key = Array(name.utf8)
        return try reading { (transaction) throws(LMDBError) in try transaction.prefix(named: key, tables) }
    }

    /// All names, in the order of their bytes: `Limits.prefixNames` at most. Damaged entries are left out.
    package func names() throws(StoreError) -> [NamedPrefix] {
        try reading { (transaction) throws(LMDBError) in
            var names: [NamedPrefix] = []
            for key in try transaction.keys(tables.names, from: [0], limit: .max, while: { _ in true }) {
                if let named = try transaction.prefix(named: key, tables) { names.append(named) }
            }
            return names
        }
    }
}

extension WriteSession {
    /// Names a prefix, and returns what forbids that.
    func setName(
        _ name: String, of hash: PrefixHash, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> StoreError? {
        let key = Array(name.utf8)
        guard let node = try transaction.node(hash, tables).record else { return .noSuchPage(hash.short) }
        if try !transaction.has(tables.names, key), try transaction.entryCount(tables.names) >= Limits.prefixNames {
            return .tooManyNames(limit: Limits.prefixNames)
        }
        let record = NameRecord(hash: hash, root: node.root, createdAt: now)
        try transaction.write(tables.names, key, record.encoded(name: key))
        return nil
    }

    /// Takes a name away, and returns what forbids that. A name that is damaged is nobody's and goes.
    func removeName(
        _ name: String, of hash: PrefixHash?, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> StoreError? {
        let key = Array(name.utf8)
        guard try transaction.has(tables.names, key) else { return .noSuchName(name) }
        let owner = try transaction.read(tables.names, key) { NameRecord($0, name: key) }.record?.hash
        if let hash, let owner, owner != hash { return .invalidName("it is the name of page \(owner.short)") }
        try transaction.erase(tables.names, key)
        return nil
    }
}

extension ReadTransaction {
    fileprivate func prefix(named key: [UInt8], _ tables: Tables) throws(LMDBError) -> NamedPrefix? {
        let stored = try read(tables.names, key) { NameRecord($0, name: key) }
        guard let record = stored.record, let name = String(validating: key, as: UTF8.self) else { return nil }
        return NamedPrefix(
            name: name, hash: record.hash, root: record.root, createdAt: Timestamp(milliseconds: record.createdAt),
            isStored: try has(tables.nodes, record.hash.bytes))
    }
}
