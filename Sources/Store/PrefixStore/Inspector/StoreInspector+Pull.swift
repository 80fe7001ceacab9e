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

    /// The same into a store that is made when the first pages have come, and not before. A call that fails before
    /// pages were stored leaves nothing; later, what has come stays.
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
        let place = NewFolder(path)
        pull.run(into: nil) { () throws(StoreError) in
            place.isBegun = true
            try Store(at: path, options: StoreOptions(sealingKey: sealingKey)).close()
            let inspector = try StoreInspector(at: path, sealingKey: sealingKey)
            made = inspector
            return inspector.cold
        }
        made?.close()
        if pull.done.moved == 0 { place.remove() }
        return pull.done
    }
}

/// A folder in which a store is made, and that goes again if nothing came into it.
private final class NewFolder {
    private let path: String
    /// Whether there was such a folder, and what it had in it.
    private let existed: Bool
    private let names: Set<String>
    /// Whether a store was begun.
    var isBegun = false

    init(_ path: String) {
        self.path = path
        existed = unsafe access(path, F_OK) == 0
        names = Self.names(path)
    }

    /// Removes the files of the store. Nobody else can have put anything into it: it had no space.
    func remove() {
        guard isBegun else { return }
        for name in Self.names(path) where !names.contains(name) { Self.remove(path + "/" + name) }
        if !existed { _ = unsafe rmdir(path) }
    }

    private static func remove(_ path: String) {
        if unsafe unlink(path) == 0 { return }
        // One in which a store is made has files alone.
        for name in names(path) { _ = unsafe unlink(path + "/" + name) }
        _ = unsafe rmdir(path)
    }

    private static func names(_ path: String) -> Set<String> {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: Set<String> = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { name in
                unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != ".", name != ".." { names.insert(name) }
        }
        return names
    }
}
