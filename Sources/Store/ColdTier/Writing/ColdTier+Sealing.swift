// Sealed spaces: found by identity, made, given another key, and forgotten.

package import KVFormat
internal import LMDB
internal import Threads

/// What a space was opened as.
package struct SpaceAccess: Sendable {
    /// The space root, which begins its hashes.
    package let root: PrefixHash
    /// Its seal; nil for a space that is not sealed.
    package let seal: SpaceSeal?
}

/// What a look for an identity among the sealed spaces found.
private enum SealedSearch {
    case found(SpaceAccess)
    case missing
    /// A space that is sealed with another key.
    case otherKey(id: String)
}

extension ColdTier {
    /// The sealed space of an identity, which is made when there is none.
    ///
    /// The root of a sealed space follows from its identity and its own random data key, so it is looked for among all
    /// sealed spaces of the same model: one unwrapped key and one HMAC for each.
    func openSealed(_ identity: SpaceDescriptor, _ key: SealingKey) throws(StoreError) -> SpaceAccess {
        var search = try reading { (transaction) throws(LMDBError) in try find(identity, key, transaction) }
        if case .missing = search {
            search = try writing { (transaction, session) throws(LMDBError) in
                let again = try find(identity, key, transaction)
                guard case .missing = again else { return again }
                try session.forgetEmptySpaces(&transaction)
                let seal = SpaceSeal()
                var space = SpaceRecord(identity.sealed(by: seal))
                space.wrappedKey = seal.wrapped(by: key, for: space.descriptor.root)
                space.lastUse = session.now
                session.add(space)
                return .found(SpaceAccess(root: space.descriptor.root, seal: seal))
            }
        }
        switch search {
        case .found(let access):
            if let seal = access.seal { openSpaces.withLock { $0.seals[access.root] = seal } }
            return access
        case .otherKey(let id): throw .wrongKey(found: id, given: key.id)
        case .missing: throw .damaged(path: path, "a sealed space")
        }
    }

    /// Refuses a new plain space beside sealed ones of the same weights, whatever else differs: somebody forgot the
    /// key.
    func refuseBesideSealed(_ identity: SpaceDescriptor) throws(StoreError) {
        let sealed = try reading { (transaction) throws(LMDBError) in
            try transaction.sealedSpaces(tables).first { !$0.descriptor.differences(from: identity).contains(.weights) }
        }
        if let sealed { throw .sealedSpace(sealed.descriptor.root.short) }
    }

    private func find<T: Transaction & ~Copyable>(
        _ identity: SpaceDescriptor, _ key: SealingKey, _ transaction: borrowing T
    ) throws(LMDBError) -> SealedSearch {
        var (isOurs, other) = (false, String?.none)
        for space in try transaction.sealedSpaces(tables) {
            guard let wrapped = WrappedKey(space.wrappedKey) else { continue }
            guard wrapped.keyID == key.id else {
                other = wrapped.keyID
                continue
            }
            isOurs = true
            guard space.descriptor.isOfModel(of: identity) else { continue }
            let root = space.descriptor.root
            guard let seal = seal(of: space), identity.sealed(by: seal).root == root else { continue }
            return .found(SpaceAccess(root: root, seal: seal))
        }
        // One key for all sealed spaces of a store: another one is a mistake, and not a new owner. Beside spaces of the
        // right key it is damage.
        if let other, !isOurs { return .otherKey(id: other) }
        return .missing
    }

    /// Whether the store was opened with a sealing key.
    package var hasSealingKey: Bool { options.sealingKey != nil }

    /// The seal of a space, if the store was opened with its key.
    package func seal(of space: SpaceRecord) -> SpaceSeal? {
        let root = space.descriptor.root
        guard let key = options.sealingKey, let wrapped = WrappedKey(space.wrappedKey) else { return nil }
        if let known = openSpaces.withLock({ $0.seals[root] }) { return known }
        guard let seal = key.seal(wrapped, for: root) else { return nil }
        return openSpaces.withLock { spaces in
            if let known = spaces.seals[root] { return known }
            spaces.seals[root] = seal
            return seal
        }
    }

    /// The ids of the key that sealed a space and of the one that the store was opened with; nil when either is not
    /// known.
    package func keyIDs(of space: SpaceRecord) -> (found: String, given: String)? {
        guard let key = options.sealingKey, space.wrappedKey != WrappedKey.gone,
            let wrapped = WrappedKey(space.wrappedKey)
        else { return nil }
        return (wrapped.keyID, key.id)
    }

    /// As `seal(of:)`, for the root of a space.
    func seal<T: Transaction & ~Copyable>(
        of root: PrefixHash, _ transaction: borrowing T
    ) throws(LMDBError) -> SpaceSeal? {
        guard options.sealingKey != nil, let space = try transaction.space(root, tables).record else { return nil }
        return seal(of: space)
    }

    /// Seals the data keys of all sealed spaces with another key, in one transaction, and overwrites the old copies of
    /// them. The spaces' content stays as it is. Processes that have spaces open go on with them.
    ///
    /// - Returns: how many spaces have the new key now.
    /// - Throws: `.invalidKey` when the store was opened without a key; `.wrongKey` when a space has neither the old
    ///   key nor the new one. Nothing was changed then.
    package func rekey(to new: SealingKey) throws(StoreError) -> Int {
        guard let old = options.sealingKey else { throw .invalidKey("the store was opened without one") }
        let outcome = try writing { (transaction, session) throws(LMDBError) -> Result<Int, StoreError> in
            var changed: [(PrefixHash, [UInt8])] = []
            var spaces = 0
            for space in try transaction.sealedSpaces(tables) {
                guard let wrapped = WrappedKey(space.wrappedKey) else { continue }
                let root = space.descriptor.root
                spaces += 1
                if wrapped.keyID == new.id { continue }
                guard wrapped.keyID == old.id, let seal = old.seal(wrapped, for: root) else {
                    return .failure(.wrongKey(found: wrapped.keyID, given: old.id))
                }
                changed.append((root, seal.wrapped(by: new, for: root)))
            }
            for (root, key) in changed { try session.update(root, &transaction) { $0.wrappedKey = key } }
            return .success(spaces)
        }
        let spaces = try outcome.get()
        try overwriteOldKeys()
        return spaces
    }

    /// Destroys a space: first its data key, then its pages, at last its entry. When it is interrupted, a second call
    /// finishes it. Processes that have a sealed space open find and store nothing of it on disk any more; an engine
    /// that has a plain one open fills it again.
    ///
    /// - Returns: how many pages were removed.
    /// - Throws: `.noSuchSpace`.
    package func forget(space root: PrefixHash) throws(StoreError) -> Int {
        let wasSealed = try writing { (transaction, session) throws(LMDBError) -> Bool? in
            guard let space = try session.space(root, &transaction) else { return nil }
            guard !space.wrappedKey.isEmpty else { return false }
            try session.update(root, &transaction) { $0.wrappedKey = WrappedKey.gone }
            return true
        }
        guard let wasSealed else { throw .noSuchSpace(root.short) }
        openSpaces.withLock { $0.seals[root] = nil }
        if wasSealed { try overwriteOldKeys() }
        var removed = 0
        while true {
            let pages = try firstPages(of: root)
            let (count, isDone) = try writing { (transaction, session) throws(LMDBError) -> (Int, Bool) in
                var count = 0
                for hash in pages where try session.remove(hash, &transaction) > 0 { count += 1 }
                guard pages.isEmpty else { return (count, false) }
                // An engine may have stored a page since the walk: the next one finds it by its node.
                if let child = try session.firstChild(of: root, &transaction),
                    try transaction.node(child, tables).record?.root == root
                {
                    return (count, false)
                }
                session.remove(space: root)
                try transaction.erase(tables.spaces, root.bytes)
                for name in try transaction.names(of: root, tables) { try transaction.erase(tables.names, name) }
                return (count, true)
            }
            removed += count
            if isDone { return removed }
        }
    }

    /// Some pages of a space.
    private func firstPages(of root: PrefixHash) throws(StoreError) -> [PrefixHash] {
        var pages: [PrefixHash] = []
        try inspecting { () throws(LMDBError) in
            try walk(tables.nodes) { (_, key, value) throws(LMDBError) in
                guard let hash = PrefixHash(key: key), NodeRecord(value, key: hash)?.root == root else { return .next }
                pages.append(hash)
                return pages.count < Limits.transactionEntries ? .next : .stop
            }
        }
        return pages
    }
}

extension Transaction where Self: ~Copyable {
    /// All spaces that are sealed, in the order of their roots.
    borrowing func sealedSpaces(_ tables: Tables) throws(LMDBError) -> [SpaceRecord] {
        var spaces: [SpaceRecord] = []
        var cursor = try cursor(tables.spaces)
        while try cursor.next() {
            guard let root = PrefixHash(key: cursor.key), let space = SpaceRecord(cursor.value, root: root),
                !space.wrappedKey.isEmpty
            else { continue }
            spaces.append(space)
        }
        return spaces
    }

    /// The names that people gave to prefixes of a space.
    fileprivate borrowing func names(of root: PrefixHash, _ tables: Tables) throws(LMDBError) -> [[UInt8]] {
        var names: [[UInt8]] = []
        for name in try keys(tables.names, from: [0], limit: .max, while: { _ in true }) {
            let record = try read(tables.names, name) { NameRecord($0, name: name) }.record
            if record?.root == root { names.append(name) }
        }
        return names
    }
}

extension SpaceDescriptor {
    /// Whether all fields but the salt, which a sealed space keeps to itself, are equal.
    fileprivate func isOfModel(of other: SpaceDescriptor) -> Bool {
        differences(from: other).allSatisfy { $0 == .salt }
    }
}
