// The two files of an open folder: descriptors of our own beside LMDB's, and whether the names still lead to the files
// that are open.

import CLMDB
import Glibc
import Threads

/// What identifies a file or folder, however its path is spelled.
struct FileIdentity: Hashable {
    let device: UInt
    let inode: UInt

    init(_ status: stat) {
        device = UInt(status.st_dev)
        inode = UInt(status.st_ino)
    }

    /// The identity of an open file.
    init(of descriptor: Int32) throws(LMDBError) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw .code(errno, call: "fstat") }
        self.init(status)
    }
}

/// An open file, closed with the last reference to it. Thread-safe.
///
/// A process that closes any descriptor of a file loses all locks that it holds on it by `fcntl`. So the data file is
/// opened by `shared`, which has one descriptor for all who want the file.
final class OpenFile: Sendable {
    let descriptor: Int32
    let identity: FileIdentity

    /// Opens `path`; its descriptor is not passed on to programs that the process starts.
    init(_ path: String, _ flags: Int32) throws(LMDBError) {
        let descriptor = unsafe Glibc.open(path, flags | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .code(errno, call: "opening \(path)") }
        do throws(LMDBError) {
            identity = try FileIdentity(of: descriptor)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit { Glibc.close(descriptor) }

    /// Whether another process has a record lock on one byte.
    func isLockedByOthers(at offset: off_t) -> Bool {
        var range = flock(
            l_type: Int16(F_WRLCK), l_whence: Int16(SEEK_SET), l_start: offset, l_len: 1, l_pid: 0)
        return unsafe fcntl(descriptor, F_GETLK, &range) == 0 && range.l_type != Int16(F_UNLCK)
    }

    /// What a descriptor can be shared by.
    private struct Key: Equatable {
        let file: FileIdentity
        let isWritable: Bool
    }

    private struct Reference {
        let key: Key
        weak var file: OpenFile?
    }

    /// A list: a process has few, and the first dictionary of a type takes longer to make than a file to open.
    private static let files = Guarded<[Reference]>([])

    /// The file at `path`, through the descriptor that this process has of it already, if it has one that can do as
    /// much. It is not created.
    static func shared(_ path: String, _ flags: Int32) throws(LMDBError) -> OpenFile {
        try files.withLock { files throws(LMDBError) in
            var status = stat()
            if unsafe stat(path, &status) == 0 {
                for isWritable in [flags == O_RDWR, true] {
                    let key = Key(file: FileIdentity(status), isWritable: isWritable)
                    if let file = files.first(where: { $0.key == key })?.file { return file }
                }
            }
            let file = try OpenFile(path, flags)
            let key = Key(file: file.identity, isWritable: flags == O_RDWR)
            files.removeAll { $0.file == nil || $0.key == key }
            files.append(Reference(key: key, file: file))
            return file
        }
    }
}

/// The folder and its data file, open as long as the environment is. Thread-safe.
///
/// The descriptors are our own, because LMDB's change when the environment is opened anew. All of them stay open until
/// LMDB has closed its own: to close one descriptor of a file drops the locks that a process has on the file.
struct FolderFiles {
    static let data = "data.mdb"
    static let lock = "lock.mdb"

    let folder: OpenFile
    let data: OpenFile
    /// Where the folder was found: its path from the root.
    private let place: String

    /// Opens the files of a folder that LMDB has opened.
    init(folder path: String, access: Access) throws(LMDBError) {
        folder = try OpenFile(path, O_RDONLY | O_DIRECTORY)
        data = try OpenFile.shared(path + "/" + Self.data, access == .readWrite ? O_RDWR : O_RDONLY)
        place = Self.absolute(path)
    }

    /// Throws `.replaced` unless the names lead to the folder and the data file that are open: whoever opens the store
    /// next finds another one, and nothing of what is written here.
    func requireInPlace() throws(LMDBError) {
        guard identity(Self.data) == data.identity else { throw .replaced(file: Self.data) }
        var status = stat()
        // A path that this process may not follow any more says nothing.
        let isFound = unsafe stat(place, &status) == 0
        guard isFound ? FileIdentity(status) == folder.identity : errno != ENOENT && errno != ENOTDIR else {
            throw .replaced(file: "the folder")
        }
    }

    /// The path from the root, as the process's working folder is now.
    private static func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/"), let folder = unsafe getcwd(nil, 0) else { return path }
        defer { unsafe free(folder) }
        return unsafe String(cString: folder) + "/" + path
    }

    /// Whether the name of the lock file leads to `lock`.
    func isInPlace(lock: FileIdentity) -> Bool { identity(Self.lock) == lock }

    private func identity(_ name: String) -> FileIdentity? {
        var status = stat()
        return unsafe fstatat(folder.descriptor, name, &status, 0) == 0 ? FileIdentity(status) : nil
    }
}
