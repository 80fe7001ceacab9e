// The two files of an open folder: descriptors of our own beside LMDB's, and whether the names still lead to the files
// that are open.

import CLMDB
import Glibc

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

    /// Opens the files of a folder that LMDB has opened.
    init(folder path: String, access: Access) throws(LMDBError) {
        folder = try OpenFile(path, O_RDONLY | O_DIRECTORY)
        data = try OpenFile(path + "/" + Self.data, access == .readWrite ? O_RDWR : O_RDONLY)
    }

    /// Whether the name of the data file leads to the file that is open. The folder may have been moved meanwhile.
    var isDataInPlace: Bool { identity(Self.data) == data.identity }

    /// Whether the name of the lock file leads to `lock`.
    func isInPlace(lock: FileIdentity) -> Bool { identity(Self.lock) == lock }

    private func identity(_ name: String) -> FileIdentity? {
        var status = stat()
        return unsafe fstatat(folder.descriptor, name, &status, 0) == 0 ? FileIdentity(status) : nil
    }
}
