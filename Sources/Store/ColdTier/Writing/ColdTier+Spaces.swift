// Spaces: registered before their pages come, and stored with the measured prefill time.

package import KVFormat
internal import LMDB
internal import Threads

extension ColdTier {
    /// Registers a space, so that its pages can be stored and found. Idempotent; the labels of the first registration
    /// stay. Spaces without pages are forgotten when there are many: see `forgetEmptySpaces`.
    /// - Throws: `.damaged` when the stored descriptor cannot be read or differs; `.sealedSpace`.
    package func open(space descriptor: SpaceDescriptor) throws(StoreError) {
        let root = descriptor.root
        let known = try reading { (transaction) throws(LMDBError) in try transaction.space(root, tables) }
        switch known {
        case .damaged: throw .damaged(path: path, "the descriptor of a space")
        // A root has only one descriptor: a record whose descriptor does not hash to its root reads as damaged.
        case .sound(let space):
            guard space.wrappedKey.isEmpty else { throw .sealedSpace(root.short) }
        case .missing:
            try writing { (transaction, session) throws(LMDBError) in
                guard case .missing = try transaction.space(root, tables) else { return }
                try forgetEmptySpaces(&session, &transaction)
                session.add(SpaceRecord(descriptor, lastUse: session.now))
            }
        }
        opened.withLock { $0[root] = descriptor }
    }

    /// The space that a page is stored in; nil when this process has not opened it, or it is damaged. One that was
    /// forgotten because it had no pages is registered again.
    func openedSpace(
        _ root: PrefixHash, _ session: inout WriteSession, _ transaction: inout WriteTransaction
    ) throws(LMDBError) -> SpaceRecord? {
        if let space = try session.space(root, &transaction) { return space }
        guard case .missing = try transaction.space(root, tables),
            let descriptor = opened.withLock({ $0[root] })
        else { return nil }
        let space = SpaceRecord(descriptor, lastUse: session.now)
        session.add(space)
        return space
    }

    /// Forgets spaces that have no pages, beginning with those that were not used for the longest time, so that
    /// three quarters of `Limits.emptySpaces` are left. Spaces with pages all stay: the quota bounds them.
    private func forgetEmptySpaces(
        _ session: inout WriteSession, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        // Looked at only once in a while, because the walk meets the spaces with pages too.
        let (count, step) = (try transaction.entryCount(tables.spaces), Limits.emptySpaces / 4)
        guard count >= Limits.emptySpaces, count % step == 0 else { return }
        var empty: [(lastUse: Int64, key: [UInt8])] = []
        for key in try transaction.keys(tables.spaces, from: [0], limit: .max, while: { _ in true }) {
            guard let root = unsafe PrefixHash(key: key.span.bytes) else { continue }
            guard try session.firstChild(of: root, &transaction) == nil else { continue }
            empty.append((try transaction.space(root, tables).record?.lastUse ?? 0, key))
        }
        let excess = empty.count - 3 * step
        guard excess > 0 else { return }
        for space in empty.sorted(by: { $0.lastUse < $1.lastUse }).prefix(excess) {
            try transaction.erase(tables.spaces, space.key)
        }
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
    package func setPrefillTime(nanosecondsPerToken: UInt64, of root: PrefixHash) throws(StoreError) {
        let isThere = try writing { (transaction, session) throws(LMDBError) in
            let isThere = try openedSpace(root, &session, &transaction) != nil
            try session.update(root, &transaction) { $0.prefillNanoseconds = nanosecondsPerToken }
            return isThere
        }
        guard isThere else { throw .noSuchSpace(root.short) }
    }
}
