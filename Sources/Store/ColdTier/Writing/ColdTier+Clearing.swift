// Room for a large record between small ones.
//
// Where small pages have filled the file, what eviction frees lies in pieces: single pages of the index and small
// records that are still in use lie between them. Evicting more would cost most of the store before a run of several
// MiB comes about. So what lies in the emptiest run is stored again elsewhere, byte by byte.

internal import KVFormat
internal import LMDB
internal import PageCodec
internal import Records

extension ColdTier {
    /// How often a run is cleared: LMDB may have put some of what was moved into the run itself.
    private static let clearings = 3
    /// A record is moved only if it is at most this part of the run: it needs a run of its own elsewhere.
    private static let movedPart = 16

    /// Clears a run of `bytes` bytes of the file, so that a record fits there.
    ///
    /// - Returns: false when it cannot be cleared: large records lie everywhere, or there is no room for what would be
    ///   moved.
    func clearRun(of bytes: Int) throws(LMDBError) -> Bool {
        for _ in 0..<Self.clearings {
            let occupants = try environment.occupants(
                ofRun: bytes, within: recordBound, longest: bytes / Self.movedPart, of: tables.all)
            guard let occupants else { return false }
            guard !occupants.isEmpty else { return true }
            do throws(LMDBError) {
                try transact { (transaction, session) throws(LMDBError) in
                    for occupant in occupants { try session.move(occupant, &transaction) }
                }
            } catch {
                guard error.isNoRoom else { throw error }
                return false
            }
            // What the moved ones leave can be used two transactions later.
            for _ in 0..<2 { try transact { (_, _) throws(LMDBError) in } }
        }
        return true
    }
}

extension WriteSession {
    /// Stores what is there once more: LMDB takes other pages for it.
    fileprivate mutating func move(_ occupant: Occupant, _ transaction: inout WriteTransaction) throws(LMDBError) {
        switch occupant {
        case .value(let table, let key):
            let owner = table == tables.pages ? unsafe PrefixHash(key.span.bytes) : sideOwner(of: key)
            try requireOwnRecord(table, key, of: owner, &transaction)
            let value: Stored<[UInt8]> = try transaction.read(table, key) { bytes in
                unsafe bytes.withUnsafeBytes { unsafe Array($0) }
            }
            guard let value = value.record else { return }
            try unsafe transaction.put(
                table, key: key.span.bytes, value: value.span.bytes, paddedTo: value.count, within: recordBound)
        case .treePage(let table, let key):
            try transaction.touch(table, key: key)
        }
    }

    private func sideOwner(of key: [UInt8]) -> PrefixHash? {
        unsafe SideKey(key.span.bytes).map { .sideState(of: $0.hash, name: $0.name) }
    }
}
