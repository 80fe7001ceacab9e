// Spaces: registered before their pages come, and stored with the measured prefill time.

package import KVFormat
internal import LMDB
package import Threads

extension ColdTier {
    /// Registers a space, so that its pages can be stored and found. Idempotent; the labels of the first registration
    /// stay. When another process writes just now, the next write registers it. Spaces without pages are forgotten when
    /// there are many: see `WriteSession.forgetEmptySpaces`.
    ///
    /// With a sealing key, it is the sealed space of that identity, whose root is its own. A space that is not sealed
    /// is another one.
    ///
    /// - Returns: how the space's pages are named and read.
    /// - Throws: `.wrongKey`; `.sealedSpace` without a key when the space is sealed, or would be new beside sealed ones
    ///   of its weights.
    @discardableResult
    package func open(space descriptor: SpaceDescriptor) throws(StoreError) -> SpaceAccess {
        if let key = options.sealingKey { return try openSealed(descriptor, key) }
        let root = descriptor.root
        let known = try reading { (transaction) throws(LMDBError) in try transaction.space(root, tables) }
        switch known {
        case .sound(let space):
            guard space.wrappedKey.isEmpty else { throw .sealedSpace(root.short) }
        // A root has only one descriptor. One that does not hash to its root reads as damaged, and is written again.
        case .damaged, .missing:
            try refuseBesideSealed(descriptor)
            pending.add(space: descriptor)
            try registering { () throws(LMDBError) in
                try transact(before: .after(Self.openingPatience)) { (_, _) throws(LMDBError) in }
            }
        }
        openSpaces.withLock { $0.descriptors[root] = descriptor }
        return SpaceAccess(root: root, seal: nil)
    }

    /// The space that a page is stored in; nil when this process has not opened it. One that was forgotten because it
    /// had no pages, or whose entry is damaged, is registered again, but never a sealed one: its key is lost.
    func openedSpace(
        _ root: PrefixHash, _ session: inout WriteSession, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> SpaceRecord? {
        if let space = try session.space(root, &transaction) { return space }
        guard let descriptor = openSpaces.withLock({ $0.descriptors[root] }) else { return nil }
        let space = SpaceRecord(descriptor, lastUse: session.now)
        session.add(space)
        return space
    }

    /// The descriptor of a space that this process has opened; the space may come into the store with the next write.
    package func openedDescriptor(of root: PrefixHash) -> SpaceDescriptor? {
        openSpaces.withLock { $0.descriptors[root] }
    }

    /// A space with its counters; nil when it is not registered, or damaged.
    package func space(_ root: PrefixHash) throws(StoreError) -> SpaceRecord? {
        try reading { (transaction) throws(LMDBError) in try transaction.space(root, tables).record }
    }

    /// The descriptors of all spaces, in the order of their roots. One that cannot be read is left out.
    package func descriptors() throws(StoreError) -> [SpaceDescriptor] {
        try inspecting { () throws(LMDBError) in
            var found: [SpaceDescriptor] = []
            try walk(tables.spaces) { (_, key, value) throws(LMDBError) in
                if let root = PrefixHash(key: key), let record = SpaceRecord(value, root: root) {
                    found.append(record.descriptor)
                }
                return .next
            }
            return found
        }
    }

    /// Stores how long the engine needs to prefill a token of a space, for later processes.
    ///
    /// - Throws: `.noSuchSpace`.
    package func setPrefillTime(
        nanosecondsPerToken: UInt64, of root: PrefixHash, before deadline: Deadline? = nil
    ) throws(StoreError) {
        let isThere = try writing(before: deadline) { (transaction, session) throws(LMDBError) in
            let isThere = try openedSpace(root, &session, &transaction) != nil
            try session.update(root, &transaction) { $0.prefillNanoseconds = nanosecondsPerToken }
            return isThere
        }
        guard isThere else { throw .noSuchSpace(root.short) }
    }
}
