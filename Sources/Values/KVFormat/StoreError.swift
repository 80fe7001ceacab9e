// The errors of the store.

/// An error of the store. A miss is not an error, and a damaged page is a miss. No case holds token ids, salts or page
/// bytes.
public enum StoreError: Error, Equatable, Sendable {
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
    /// This process has the folder open already; a second opening would break LMDB's locks.
    case alreadyOpen(path: String)
    /// The store was written by another version.
    case formatMismatch(path: String, found: UInt32, supported: UInt32)
    /// The store was opened before a `fork`; a child must open its own.
    case forked
    /// The store was closed.
    case closed
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
    /// No page with this prefix hash.
    case noSuchPage(String)
    /// No space with this root.
    case noSuchSpace(String)
    /// The space is sealed: only a build that has the owner's key can read it. This build finds none of its pages.
    case sealedSpace(String)
    /// The system refused a call.
    case system(call: String, errno: Int32)

    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .invalidLayout(let what): "The KV layout is not valid: \(what)."
        case .invalidIdentity(let what): "The model identity is not valid: \(what)."
        case .invalidOption(let what): "An option is invalid: \(what)."
        case .invalidTokens(let count): "\(count) token ids were given; the limits are 1 to \(Limits.tokens)."
        case .invalidPages(let what): "The pages do not fit the token ids: \(what)."
        case .invalidSideState(let what): "The side state is invalid: \(what)."
        case .notAFolder(let path): "\(path) is not a folder."
        case .notAStore(let path): "\(path) is not empty and holds no store."
        case .readOnly(let path): "\(path) cannot be written."
        case .permissions(let path, let what): "\(path) has unsafe or missing permissions: \(what)."
        case .networkFileSystem(let path):
            "\(path) lies on a network file system, where a store cannot be shared safely."
        case .alreadyOpen(let path): "This process already has the store \(path) open."
        case .formatMismatch(let path, let found, let supported):
            "The store \(path) has format \(found); this build reads format \(supported)."
        case .forked: "The store was opened before a fork and cannot be used in the child."
        case .closed: "The store is closed."
        case .diskFull(let path): "The disk that holds \(path) is full; nothing that was stored is lost."
        case .quotaFull(let quota): "Pinned pages take up the whole quota of \(quota)."
        case .mapFull(let size): "The store's map of \(size) is full; nothing that was stored is lost."
        case .readersFull(let slots): "All \(slots) reader slots of the store are taken."
        case .damaged(let path, let what): "The store \(path) is damaged: \(what)."
        case .noSuchPage(let hash): "No page has the prefix hash \(hash)."
        case .noSuchSpace(let root): "No space has the root \(root)."
        case .sealedSpace(let root): "The space \(root) is sealed, and this build reads no sealed spaces."
        case .system(let call, let number): "The system call \(call) failed: error number \(number)."
        }
    }

    /// What to do about it, in one sentence.
    public var remedy: String {
        switch self {
        case .invalidLayout, .invalidIdentity, .invalidOption, .invalidTokens, .invalidPages, .invalidSideState:
            "Correct the call; nothing was changed."
        case .notAFolder: "Name a folder that exists, or one that can be created in an existing folder."
        case .notAStore: "Name an empty folder, a new one, or a store."
        case .readOnly: "Give this user permission to write the folder and its files."
        case .permissions: "Make this user the owner; set mode 0700 on the folder and 0600 on its files (chown, chmod)."
        case .networkFileSystem: "Put the store on a local disk."
        case .alreadyOpen: "Share the Store object that has it open."
        case .formatMismatch(_, let found, let supported) where found > supported: "Use a newer build of this program."
        case .formatMismatch: "Name another folder: this one stays as it is, and a new store fills itself."
        case .forked: "Open the store in the child, or start workers with spawn."
        case .closed: "Open it again."
        case .diskFull: "Free some space on the disk, or run `pfx trim`; writing then resumes."
        case .quotaFull: "Raise the quota, or unpin prefixes with `pfx unpin`."
        case .mapFull: "Close the store in every process, then open it with a larger quota."
        case .readersFull: "Close some of the processes that use the store."
        case .damaged: "Move the folder aside and start with a new one; a cache fills itself again."
        case .noSuchPage: "List the stored pages with `pfx ls`; this one may have been evicted."
        case .noSuchSpace: "List the spaces with `pfx spaces`."
        case .sealedSpace: "Use the build that sealed it, or another salt, which makes a separate space."
        case .system: "Check the disk, the limits of the user and the folder's permissions, then try again."
        }
    }
}

extension StoreError: CustomStringConvertible {
    /// The error of an option whose value lies outside its bounds.
    package static func outside<Value>(_ bounds: ClosedRange<Value>, _ option: String, _ value: Value) -> StoreError {
        .invalidOption("the \(option) is \(value); the limits are \(bounds.lowerBound) to \(bounds.upperBound)")
    }
}
