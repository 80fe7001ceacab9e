// Looking at a store and changing it by hand, whether or not engines are using it.

internal import ColdTier

/// A store as an operator sees it: what it holds, whether it is sound, and a few ways to change it.
///
/// ```swift
/// let inspector = try StoreInspector(at: "kv")
/// print(try inspector.info().usedBytes)
/// for page in try inspector.pages(order: .hits, limit: 10) { print(page.hash.short, page.hits) }
/// let report = try inspector.verify()
/// ```
///
/// Opens only stores that exist, makes nothing, and leaves the quota as it is. Engines of other processes may use the
/// store meanwhile; a process that has it open itself is refused with `.alreadyOpen`. Lists and checks read in short
/// transactions, so that a running engine can always reuse the file's free space. Token ids are given by
/// `tokens(of:)` only. Thread-safe. Every call throws `.closed` after `close()`, and `.system` or `.readersFull` when
/// the system or the number of readers is exhausted.
public final class StoreInspector: Sendable {
    let cold: ColdTier

    /// Opens the store in the folder `path`.
    ///
    /// - Throws: `.notAFolder`, `.notAStore`, `.readOnly`, `.permissions`, `.networkFileSystem`, `.alreadyOpen`,
    ///   `.formatMismatch`, `.damaged`, `.system`. Nothing is changed then.
    /// - Parameters:
    ///   - path: the store's folder.
    ///   - sealingKey: the key of sealed spaces, for `tokens(of:)`, `frames(of:)` and `verify()`. Everything
    ///   else works without it.
    public init(at path: String, sealingKey: SealingKey? = nil) throws(StoreError) {
        cold = try ColdTier(existing: path, sealingKey: sealingKey)
    }

    /// Closes the store. A second call does nothing.
    public func close() { cold.close() }

    deinit { cold.close() }

    // MARK: Looking

    /// The whole store at this moment. Walks all pages' entries: about a second for a million pages.
    public func info() throws(StoreError) -> StoreInfo { try cold.info() }

    /// All spaces, used last first. Walks all pages' entries.
    public func spaces() throws(StoreError) -> [SpaceInfo] { try cold.spaces() }

    /// The first `limit` pages of a space, or of the whole store when `root` is nil, in an order. Walks all pages'
    /// entries; memory grows with `limit` only.
    ///
    /// - Throws: `.noSuchSpace`.
    public func pages(
        in root: PrefixHash? = nil, order: PageOrder = .recent, limit: Int = 100
    ) throws(StoreError) -> [PageInfo] {
        try cold.pages(in: root, order: order, limit: limit)
    }

    /// One page.
    ///
    /// - Throws: `.noSuchPage` when it is not stored, or cannot be read.
    public func page(_ hash: PrefixHash) throws(StoreError) -> PageInfo { try cold.page(hash) }

    /// The frames of a page's record, each compared with its checksum.
    ///
    /// - Throws: `.noSuchPage`; `.damaged` when the record's header cannot be trusted; `.sealedSpace` without its key.
    public func frames(of hash: PrefixHash) throws(StoreError) -> [FrameInfo] { try cold.frames(of: hash) }

    /// The pages that follow a page directly, or that begin a space when `hash` is its root, in the order of their
    /// token ids: the first `limit` of them. None when there is no such page.
    public func children(of hash: PrefixHash, limit: Int = .max) throws(StoreError) -> [PageInfo] {
        try cold.children(of: hash, limit: limit)
    }

    /// The token ids of a page; empty for a block. They encode somebody's prompt: show them only on request.
    ///
    /// - Throws: `.noSuchPage`; `.sealedSpace` without the key.
    public func tokens(of hash: PrefixHash) throws(StoreError) -> [TokenID] { try cold.tokens(of: hash) }

    /// The pages from the first of a sequence to `hash`, in order.
    ///
    /// - Throws: `.noSuchPage` when one of them is not stored, or cannot be read.
    public func path(to hash: PrefixHash) throws(StoreError) -> [PrefixHash] { try cold.path(to: hash) }

    /// The page whose prefix hash begins with `digits`, hexadecimal, of either case.
    public func resolve(_ digits: String) throws(StoreError) -> HashResolution { try cold.resolve(digits) }

    /// The space whose root begins with `digits`.
    public func resolveSpace(_ digits: String) throws(StoreError) -> HashResolution { try cold.resolveSpace(digits) }

    /// All names that people have given to prefixes, in the order of their bytes.
    public func names() throws(StoreError) -> [NamedPrefix] { try cold.names() }

    /// The prefix that has this name; nil when none has.
    ///
    /// - Throws: `.invalidName`.
    public func prefix(named name: String) throws(StoreError) -> NamedPrefix? { try cold.prefix(named: name) }

    /// Checks everything that is stored, to the last byte: reads and decodes it once, on the calling thread. Damage of
    /// any kind is a finding, never an error; nothing is changed. A running writer gives no false alarm.
    ///
    /// - Parameter progress: called now and then on the calling thread.
    public func verify(progress: (VerifyProgress) -> Void = { _ in }) throws(StoreError) -> VerifyReport {
        try cold.verify(progress: progress)
    }

    // MARK: Working

    /// Evicts, the least valuable first, until at most `target` bytes are in use. Pinned pages stay; the quota is not
    /// changed.
    ///
    /// - Parameters:
    ///   - target: the bytes that may be in use afterwards.
    ///   - dryRun: whether to report what would be evicted, and change nothing. Other writers wait meanwhile.
    /// - Throws: `.diskFull`, `.mapFull`, `.damaged`; what was evicted until then stays evicted.
    public func trim(to target: ByteCount, dryRun: Bool = false) throws(StoreError) -> TrimReport {
        try dryRun ? cold.rehearseTrim(to: target) : cold.trim(to: target)
    }

    /// Pins a page and all before it once more, so that none of them is evicted.
    ///
    /// - Parameters:
    ///   - hash: the last page of the prefix.
    ///   - name: a name to give to the prefix in the same step, as `setName`; nil for none.
    /// - Returns: the pages that were pinned.
    /// - Throws: `.noSuchPage`, `.invalidName`, `.tooManyNames`, `.diskFull`; nothing was pinned or named then.
    @discardableResult
    public func pin(_ hash: PrefixHash, name: String? = nil) throws(StoreError) -> Int {
        let path = try cold.path(to: hash)
        try cold.pin(path: path, name: name)
        return path.count
    }

    /// Takes one pin off a page and off all before it; pages without pins stay without.
    ///
    /// - Parameters:
    ///   - hash: the last page of the prefix.
    ///   - name: a name of the prefix that is taken away in the same step; nil for none. It is taken away even if the
    ///     page is gone.
    /// - Returns: the pages of the path; 0 when the page of a name is gone.
    /// - Throws: `.noSuchPage`, `.noSuchName`, `.diskFull`; `.invalidName` when another prefix has the name. Nothing
    ///   was changed then.
    @discardableResult
    public func unpin(_ hash: PrefixHash, removing name: String? = nil) throws(StoreError) -> Int {
        let path: [PrefixHash]
        do throws(StoreError) {
            path = try cold.path(to: hash)
        } catch {
            guard let name, case .noSuchPage = error else { throw error }
            try cold.removeName(name, of: hash)
            return 0
        }
        try cold.unpin(path: path, removing: name)
        return path.count
    }

    /// Gives a name to the prefix that ends with this page; durable when this returns. A name that another prefix had
    /// is this one's from then on. A name keeps nothing: pin the page too, if it is to stay.
    ///
    /// - Throws: `.invalidName`, `.noSuchPage`, `.tooManyNames`, `.diskFull`; nothing was changed then.
    public func setName(_ name: String, of hash: PrefixHash) throws(StoreError) { try cold.setName(name, of: hash) }

    /// Takes a name away; its prefix stays as it is.
    ///
    /// - Throws: `.invalidName`, `.noSuchName`, `.diskFull`; nothing was changed then.
    public func removeName(_ name: String) throws(StoreError) { try cold.removeName(name) }

    /// Removes a page and all that follow it, pinned or not.
    ///
    /// - Returns: how many pages were removed.
    /// - Throws: `.noSuchPage`.
    @discardableResult
    public func remove(_ hash: PrefixHash) throws(StoreError) -> Int { try cold.remove(hash) }

    // MARK: Sealed spaces

    /// Seals the data keys of all sealed spaces with another key, in one transaction, and overwrites the copies under
    /// the old key that LMDB has left in the file. What is stored stays as it is. Engines that have the store open go
    /// on with the spaces that they have; give them the new key before their next start.
    ///
    /// - Returns: how many spaces have the new key now. A second call after an interruption finishes the first.
    /// - Throws: `.invalidKey` when the inspector has no key; `.wrongKey` when a space has another key than it. Nothing
    ///   was changed then.
    public func rekey(to new: SealingKey) throws(StoreError) -> Int { try cold.rekey(to: new) }

    /// Forgets a space: its pages, pinned or not, its side states, its names, its identity. Of a sealed space the data
    /// key is destroyed first, with all copies of it in the file, so that nobody can read what freed pages still hold.
    /// No key is needed. docs/security.md says what remains elsewhere.
    ///
    /// - Returns: how many pages were removed. A second call after an interruption finishes the first.
    /// - Throws: `.noSuchSpace`.
    /// - Complexity: reads the whole file for a sealed space.
    public func forget(space root: PrefixHash) throws(StoreError) -> Int { try cold.forget(space: root) }
}
