// What each error of the store says, and what to do about it.

internal import Glibc

extension StoreError: CustomStringConvertible {
    /// What happened, in one sentence.
    public var description: String {
        switch self {
        case .invalidLayout(let what): "The KV layout is not valid: \(what)."
        case .invalidIdentity(let what): "The model identity is not valid: \(what)."
        case .invalidOption(let what): "An option is invalid: \(what)."
        case .invalidTokens(let count): "\(count) token ids were given; the limits are 1 to \(Limits.tokens)."
        case .invalidPages(let what): "The pages do not fit the token ids: \(what)."
        case .invalidSideState(let what): "The side state is invalid: \(what)."
        case .invalidBlock(let what): "The block is invalid: \(what)."
        case .invalidName(let what): "The name is invalid: \(what)."
        case .tooManyNames(let limit): "The store has \(limit) names already, which is the most."
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
        case .quotaFull(let quota):
            "There is no room within the quota of \(quota): pages are pinned, a reader holds pages that were evicted, or "
                + "the free room lies in pieces that are too short for one of this size."
        case .mapFull(let size): "The store's map of \(size) is full; nothing that was stored is lost."
        case .readersFull(let slots): "All \(slots) reader slots of the store are taken."
        case .damaged(let path, let what): "The store \(path) is damaged: \(what)."
        case .noSuchPage(let hash): "No page has the prefix hash \(hash)."
        case .noSuchName(let name): "No prefix has the name \(name)."
        case .noSuchSpace(let root): "No space has the root \(root)."
        case .sealedSpace(let root): "The space \(root) is sealed, and its key was not given."
        case .wrongKey(let found, let given):
            "The store's spaces are sealed with the key \(found); the key \(given) was given."
        case .invalidKey(let what): "The sealing key is not valid: \(what)."
        case .system(let call, let number): "The system call \(call) failed: \(Self.words(of: number))."
        case .writerBusy(let path, let holder): "\(holder) is writing to the store \(path) and has not finished."
        case .diskFailure(let path, let call): "The disk that holds \(path) failed in the call \(call)."
        case .fileReplaced(let path, let file):
            "\(file) of the store \(path) was deleted, moved or replaced while the store was open."
        case .remoteFailure(let remote, let what, _): "The remote \(remote) did not do what was asked: \(what)."
        }
    }

    /// What to do about it, in one sentence. It names no command of `pfx`: callers in C and Python may not have it.
    public var remedy: String {
        switch self {
        case .invalidLayout, .invalidIdentity, .invalidOption, .invalidTokens, .invalidPages, .invalidSideState,
            .invalidBlock, .invalidName:
            "Correct the call; nothing was changed."
        case .notAFolder: "Name a folder that exists, or one that can be created in an existing folder."
        case .notAStore: "Name an empty folder, a new one, or a store."
        case .readOnly: "Give this user permission to write the folder and its files."
        case .permissions:
            "Make this user the owner; set mode 0700 on the folder and 0600 on its files (chown, chmod). In a volume that "
                + "belongs to others, name a folder inside it: the store makes that with the right mode."
        case .networkFileSystem: "Put the store on a local disk."
        case .alreadyOpen: "Share the Store object that has it open."
        case .formatMismatch(_, let found, let supported) where found > supported: "Use a newer build of this program."
        case .formatMismatch: "Name another folder: this one stays as it is, and a new store fills itself."
        case .forked: "Open the store in the child, or start workers with spawn."
        case .closed: "Open it again."
        case .diskFull: "Free some space on the disk; writing then resumes."
        case .quotaFull: "Raise the quota, unpin prefixes that nobody needs, or let a process that stands still go on."
        case .mapFull: "Close the store in every process, then open it with a larger quota."
        case .readersFull: "Close some of the processes that use the store."
        case .damaged:
            "Stop every process that uses the store and start an engine again, which sets the store aside; if the error "
                + "stays, move the folder away."
        case .noSuchPage: "Flush the store and try again; if it was evicted, store it again first."
        case .tooManyNames: "List the names of the store, and remove those that nobody needs."
        case .noSuchName: "List the names of the store, and give one of them."
        case .noSuchSpace: "Open the space first: that registers it in the store."
        case .sealedSpace: "Give the key with which its owner sealed it, or name another folder."
        case .wrongKey: "Give the key that sealed them, or name another folder; nothing was changed."
        case .invalidKey: "Give 32 random bytes, or 64 hexadecimal digits, in a file that only this user can read."
        case .system(_, let number): Self.systemRemedy(number)
        case .writerBusy:
            "Let that process go on (`kill -CONT`), or end it, and try again; what is stored stays, and can be read."
        case .diskFailure: "Check the disk and the system's log, then try again; nothing that was stored was given up."
        case .fileReplaced: "Close the store and open it again; put its files back first if they were moved away."
        case .remoteFailure(_, _, let remedy): remedy
        }
    }

    /// What an error number means, with the number.
    package static func words(of number: Int32) -> String {
        // Numbers below 0 are LMDB's own.
        number > 0 ? "\(unsafe String(cString: strerror(number))) (error number \(number))" : "error number \(number)"
    }

    private static func systemRemedy(_ number: Int32) -> String {
        switch number {
        case EMFILE, ENFILE: "Raise the limit on open files (`ulimit -n`), or close some, then try again."
        case ENOMEM:
            "Raise the limit on address space (`ulimit -v`): the store maps four times its quota."
        case EAGAIN: "Raise the limit on threads and processes (`ulimit -u`), then try again."
        case ENODEV: "Put the store on a file system whose files can be mapped into memory."
        default: "Check the limits of the user, the folder's permissions and the disk, then try again."
        }
    }
}

extension StoreError {
    /// The error of an option whose value lies outside its bounds.
    package static func outside<Value>(_ bounds: ClosedRange<Value>, _ option: String, _ value: Value) -> StoreError {
        .invalidOption("the \(option) is \(value); the limits are \(bounds.lowerBound) to \(bounds.upperBound)")
    }
}
