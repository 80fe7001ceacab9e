// The errors of the store.

/// An error of the store. A miss is not an error, and damage is a miss. No case holds token ids, salts or page bytes.
///
/// Cases are grouped by who can do something about them (`audience`), and each has a number for logs and for other
/// languages (`code`) that stays the same in all versions. `description` says what happened, and `remedy` what to do.
public enum StoreError: Error, Equatable, Sendable {
    // MARK: The caller's mistakes, 1xx

    /// A KV layout outside what the store accepts; the text says which number.
    case invalidLayout(String)
    /// An identity outside what the store accepts; the text says which field.
    case invalidIdentity(String)
    /// An option is out of range; the text says which.
    case invalidOption(String)
    /// There are more token ids than `Limits.tokens`, or none.
    case invalidTokens(count: Int)
    /// Pages that do not fit the token ids given with them; the text says how.
    case invalidPages(String)
    /// A side state whose name or size lies outside `Limits`.
    case invalidSideState(String)
    /// This process has the folder open already; a second opening would break LMDB's locks.
    case alreadyOpen(path: String)
    /// The store was opened before a `fork`; a child must open its own.
    case forked
    /// The store was closed.
    case closed
    /// No page with this prefix hash.
    case noSuchPage(String)
    /// No space with this root.
    case noSuchSpace(String)
    /// A block whose key or size lies outside `Limits`, or that does not fit the call; the text says how.
    case invalidBlock(String)
    /// A name for a prefix outside `Limits`; the text says how.
    case invalidName(String)
    /// The store has as many names as it may have.
    case tooManyNames(limit: Int)
    /// No prefix has this name.
    case noSuchName(String)

    // MARK: The folder, its permissions and its format, 2xx

    /// The folder does not exist, or is not a folder.
    case notAFolder(path: String)
    /// The folder exists, is not empty, and holds no store.
    case notAStore(path: String)
    /// The folder or its files cannot be written by this user.
    case readOnly(path: String)
    /// The folder or its files cannot be read by this user, or others may write them.
    case permissions(path: String, String)
    /// The folder lies on a network file system, where LMDB's locks and maps do not work.
    case networkFileSystem(path: String)
    /// The store was written by another version.
    case formatMismatch(path: String, found: UInt32, supported: UInt32)
    /// The space is sealed, and the store was opened without its key: none of its pages are found.
    case sealedSpace(String)
    /// The spaces of the store are sealed with another key; the ids of both.
    case wrongKey(found: String, given: String)
    /// What was given as a sealing key is none, or cannot be read; the text says why, and contains nothing of it.
    case invalidKey(String)

    // MARK: Resources, damage and the system, 3xx

    /// The disk is full; nothing that was stored is lost.
    case diskFull(path: String)
    /// The quota leaves no room, because everything else is pinned.
    case quotaFull(quota: ByteCount)
    /// LMDB's map is full although the quota is not; nothing that was stored is lost.
    case mapFull(mapSize: ByteCount)
    /// All reader slots are taken by other processes.
    case readersFull(slots: Int)
    /// The store's own structures are damaged; single damaged pages are misses and never raise this.
    case damaged(path: String, String)
    /// The system refused a call.
    case system(call: String, errno: Int32)
    /// Another process writes to the store and has not finished in time; `holder` says which.
    case writerBusy(path: String, holder: String)
    /// The disk failed to read or write, twice; nothing that was stored was given up for that.
    case diskFailure(path: String, call: String)
    /// A file of the store, or its folder, was deleted, moved or replaced while the store was open.
    case fileReplaced(path: String, file: String)
    /// The remote of the store did not do what a tool asked for. Engines never meet this: for them it is a miss.
    case remoteFailure(remote: String, String, remedy: String)
}
