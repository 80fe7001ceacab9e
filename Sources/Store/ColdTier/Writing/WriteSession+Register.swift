// What openings leave to the next write: the quota, and spaces that pages may come for.

internal import KVFormat
internal import LMDB

extension WriteSession {
    /// Registers what openings left to the next write.
    mutating func register(
        _ registrations: Registrations, _ transaction: inout WriteTransaction
    ) throws(LMDBError) {
        if let quota = registrations.quota { counters.quota = quota }
        for (root, descriptor) in registrations.spaces {
            if case .sound = try transaction.space(root, tables) { continue }
            try forgetEmptySpaces(&transaction)
            add(SpaceRecord(descriptor, lastUse: now))
        }
    }

    /// Forgets spaces that have no pages, beginning with those that were not used for the longest time, so that
    /// three quarters of `Limits.emptySpaces` are left. Spaces with pages all stay: the quota bounds them. So do sealed
    /// spaces that were used lately, because with the entry goes the key.
    mutating func forgetEmptySpaces(_ transaction: inout WriteTransaction) throws(LMDBError) {
        // Looked at only once in a while, because the walk meets the spaces with pages too.
        let (count, step) = (try transaction.entryCount(tables.spaces), Limits.emptySpaces / 4)
        guard count >= Limits.emptySpaces, count % step == 0 else { return }
        var empty: [(lastUse: Int64, key: [UInt8])] = []
        for key in try transaction.keys(tables.spaces, from: [0], limit: .max, while: { _ in true }) {
            guard let root = unsafe PrefixHash(key: key.span.bytes) else { continue }
            guard try firstChild(of: root, &transaction) == nil else { continue }
            let space = try transaction.space(root, tables).record
            if let space, !space.wrappedKey.isEmpty, space.lastUse > now - Self.sealedAge { continue }
            empty.append((space?.lastUse ?? 0, key))
        }
        let excess = empty.count - 3 * step
        guard excess > 0 else { return }
        for space in empty.sorted(by: { $0.lastUse < $1.lastUse }).prefix(excess) {
            try transaction.erase(tables.spaces, space.key)
        }
    }

    /// Milliseconds for which a sealed space without pages stays: a process that has it open may be about to fill it.
    private static let sealedAge: Int64 = 24 * 3_600_000
}
