// What can go wrong in LMDB, as one concrete error type: throwing it allocates nothing on the paths that matter.

import CLMDB
import Glibc

/// An error type into which every failure of LMDB can be converted, so that a caller's closures throw the caller's own
/// error.
package protocol LMDBErrorConvertible: Error {
    /// Wraps a failure of LMDB.
    init(_ error: LMDBError)
}

/// A failed call into LMDB. A missing key is never an error: reads return `nil`, deletes return `false`.
///
/// No case holds a key or a value.
package enum LMDBError: Error, Equatable, Sendable {
    /// A status of LMDB's own (negative) or of the operating system (`errno`), and the call that returned it.
    case code(Int32, call: String)
    /// This process already has the folder open; a second open would silently break LMDB's file locks.
    case alreadyOpen(path: String)
    /// The path does not name a folder.
    case notAFolder(path: String)
    /// The folder is on a network file system, whose locks and maps are not reliable enough for LMDB.
    case networkFileSystem(path: String)
    /// The environment was opened by the parent of this process; it must not be used here.
    case forked
    /// The environment was closed.
    case closed
    /// Another process with the same process id (in another PID namespace) is using the folder.
    case processIdTaken
    /// Another process enlarged the map, and the transactions of this process did not end in time to adopt its size.
    case mapResized
    /// A writer of another process did not end in time; its process id, if it is known.
    case busy(process: Int32?)
    /// A file of the folder was deleted or replaced while the folder was open.
    case replaced(file: String)
    /// The table does not exist in an environment that was opened for reading.
    case tableMissing(name: String)
    /// The key's size in bytes is not in `LMDBLimits.keyBytes`.
    case keySize(Int)
    /// A value found no room within the part of the file that its writer may use: see
    /// `put(_:key:value:paddedTo:within:)`.
    case pastBound
    /// The file contains something impossible; the text says what.
    case damaged(String)
}

extension LMDBError: LMDBErrorConvertible {
    /// The error itself.
    package init(_ error: LMDBError) { self = error }
}

extension LMDBError {
    /// The status behind a `.code`, or `nil` for the other cases.
    package var status: Int32? {
        if case .code(let status, _) = self { status } else { nil }
    }

    /// No room: the map is full, or the disk.
    ///
    /// The whole transaction is lost; everything committed before is intact. After a full disk, once there is room
    /// again, one more commit is needed before puts work again.
    package var isFull: Bool { isDiskFull || isMapFull }

    /// No room on the disk, in a quota of the file system, or below a limit on the size of files. A write that came
    /// back short for one of these reasons is `ENOSPC`.
    package var isDiskFull: Bool { status.map(Self.fullDisk.contains) ?? false }

    /// No room for a record, on the disk or within the bound that its writer keeps.
    package var isNoRoom: Bool { isDiskFull || self == .pastBound }

    /// What the system says when a file cannot grow.
    static let fullDisk = [ENOSPC, EDQUOT, EFBIG]

    /// No room in the map, as opposed to the disk: the address space is used up, or one transaction changed too many
    /// pages.
    package var isMapFull: Bool { status == MDB_MAP_FULL || status == MDB_TXN_FULL }

    /// The file's structure is damaged, or the file is not LMDB's: move it aside and start with a new one.
    ///
    /// `MDB_BAD_TXN` does not count as damage: it follows any error in a write transaction whose caller continued
    /// nevertheless.
    package var isDamage: Bool {
        if case .damaged = self { return true }
        switch status {
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID, MDB_VERSION_MISMATCH, MDB_PAGE_FULL, MDB_CURSOR_FULL,
            MDB_INCOMPATIBLE:
            return true
        default:
            return false
        }
    }

    /// The disk failed to read or write. It may pass, or be the beginning of its end.
    package var isDiskFailure: Bool { status == EIO }

    /// Live processes have taken every reader slot.
    package var isReadersFull: Bool { status == MDB_READERS_FULL }

    /// LMDB has given up this environment, because a write of a meta page failed. The next transaction opens it anew.
    package var needsReopening: Bool { status == MDB_PANIC }

    /// Whether the same call may well succeed a moment later.
    package var mayPass: Bool { isDiskFailure || needsReopening }

    /// What the caller can do about it, in one sentence.
    package var remedy: String {
        switch self {
        case .alreadyOpen: "Share the environment that is already open."
        case .notAFolder: "Name an existing folder."
        case .networkFileSystem: "Use a folder on a local disk of this host."
        case .forked: "Open the environment in the child itself, or start children before it is opened."
        case .closed: "Open the environment again."
        case .processIdTaken: "Run the processes in one PID namespace, or give them different process ids."
        case .mapResized: "Retry. Keep transactions short, and never begin one inside another."
        case .busy: "Retry, or end that process."
        case .replaced: "Close the environment and open it again."
        case .tableMissing: "Open the folder for writing once, or check that it is the right one."
        case .keySize: "Use keys of \(LMDBLimits.keyBytes.lowerBound) to \(LMDBLimits.keyBytes.upperBound) bytes."
        case .pastBound: "Delete records, and end old read transactions; then retry."
        case .damaged: "Move the folder aside and start with a new one."
        case .code: codeRemedy
        }
    }

    private var codeRemedy: String {
        if isFull { return "Make room on the disk, or delete records, or open with a larger map; then retry." }
        if isDamage { return "Move the folder aside and start with a new one." }
        if isReadersFull { return "Raise `maxReaders` when no process has the folder open, or run fewer readers." }
        if needsReopening { return "Retry: the next transaction opens the environment anew." }
        if isDiskFailure { return "Check the disk, then retry." }
        return "Check the folder, its permissions and the limits of this process, then retry."
    }
}

extension LMDBError: CustomStringConvertible {
    /// What happened, and the remedy.
    package var description: String { "\(cause) \(remedy)" }

    private var cause: String {
        switch self {
        case .code(let status, let call):
            "\(call) failed with \(unsafe String(cString: mdb_strerror(status))) (\(status))."
        case .alreadyOpen(let path): "\(path) is already open in this process."
        case .notAFolder(let path): "\(path) is not a folder."
        case .networkFileSystem(let path): "\(path) is on a network file system."
        case .forked: "The environment was opened before this process was forked."
        case .closed: "The environment is closed."
        case .processIdTaken: "Another process with this process id uses the folder."
        case .mapResized: "Another process enlarged the map."
        case .busy(let process): "\(process.map { "Process \($0)" } ?? "Another process") keeps the writers' lock."
        case .replaced(let file): "\(file) was deleted, moved or replaced while it was open."
        case .tableMissing(let name): "There is no table \(name)."
        case .keySize(let bytes): "A key of \(bytes) bytes is not possible."
        case .pastBound: "The file has no free run of pages that is long enough."
        case .damaged(let what): "The file is damaged: \(what)."
        }
    }
}

/// Throws unless a call into LMDB succeeded.
func check(_ status: Int32, call: String) throws(LMDBError) {
    guard status == MDB_SUCCESS else { throw .code(status, call: call) }
}
