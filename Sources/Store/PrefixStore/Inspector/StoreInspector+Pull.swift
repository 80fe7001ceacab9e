// Pages from a remote to a folder, by hand: before a host joins, or after it was away.

internal import ColdTier
internal import Glibc
internal import RemoteTier

extension StoreInspector {
    /// Takes pages of a space from a remote into the folder, parents first; from several remotes what those before do
    /// not have. What is there is left alone, so that an interrupted call is simply made again. The space is registered
    /// if the folder does not know it.
    ///
    /// Other pages of the store may be evicted to make room, as when an engine stores pages; what this call has brought
    /// or found is not.
    ///
    /// - Parameters:
    ///   - root: the space.
    ///   - options: the remote.
    ///   - choice: which pages of it.
    /// - Returns: what became of the pages, also when a remote, or the folder, has failed on the way.
    /// - Throws: `.invalidOption`; `.sealedSpace`, `.wrongKey`; `.noSuchPage` when neither side has the page that
    ///   `choice` names; `.remoteFailure` when no remote can be read, or none knows a space that the folder does not
    ///   know either.
    public func pull(
        _ root: PrefixHash, from options: RemoteOptions, _ choice: TransferChoice = TransferChoice()
    ) throws(StoreError) -> RemoteTransfer {
        let tiers = try RemoteTier.each(options)
        defer { for tier in tiers { tier.close() } }
        var pull = try RemotePull(root, from: tiers, choice, to: cold, isSealing: cold.hasSealingKey)
        pull.run(into: cold) { () throws(StoreError) in cold }
        return pull.done
    }

    /// The same into a store that is made when the first pages have come, and not before. A call that fails before that
    /// leaves nothing; later, the store stays with what has come.
    ///
    /// - Parameters:
    ///   - root: the space.
    ///   - options: the remotes.
    ///   - choice: which pages of it.
    ///   - path: a folder that holds no store yet, or that is not there.
    ///   - sealingKey: the key of the new store's sealed spaces.
    /// - Returns: what became of the pages, also when a remote, or the new store, has failed on the way.
    /// - Throws: as `pull(_:from:_:)`.
    public static func pull(
        _ root: PrefixHash, from options: RemoteOptions, _ choice: TransferChoice = TransferChoice(),
        intoNewStoreAt path: String, sealingKey: SealingKey? = nil
    ) throws(StoreError) -> RemoteTransfer {
        let tiers = try RemoteTier.each(options)
        defer { for tier in tiers { tier.close() } }
        var pull = try RemotePull(root, from: tiers, choice, to: nil, isSealing: sealingKey != nil)
        var made: StoreInspector?
        let isNew = unsafe access(path, F_OK) != 0
        pull.run(into: nil) { () throws(StoreError) in
            try Store(at: path, options: StoreOptions(sealingKey: sealingKey)).close()
            let inspector = try StoreInspector(at: path, sealingKey: sealingKey)
            made = inspector
            return inspector.cold
        }
        made?.close()
        // An empty folder goes. Nothing else does: another process may have put a store there meanwhile.
        if isNew { _ = unsafe rmdir(path) }
        return pull.done
    }
}
