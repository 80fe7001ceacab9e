// LMDB's lock file, before LMDB sees it.

import CLMDB
import Glibc

/// Sees to it that the disk has room for every byte of `lock.mdb`.
///
/// LMDB makes the file as one large hole and maps it. On a full disk, the first use of a page of it would end the
/// process with SIGBUS.
enum LockFile {
    /// Opens the file in `folder`, makes it when it is missing, and allocates it.
    ///
    /// - Parameter readers: how many slots a new file has for readers.
    /// - Throws: a `.code` whose `isDiskFull` is true when there is no room.
    static func prepare(in folder: String, readers: Int) throws(LMDBError) -> OpenFile {
        let file = try OpenFile(folder + "/" + FolderFiles.lock, O_RDWR | O_CREAT)
        guard let size = fileSize(file.descriptor) else { throw .code(errno, call: "fstat") }
        // On btrfs, changing a page needs room for another one, which a full disk does not have. A file can be told to
        // stay in place while it is empty. Other file systems refuse that, and do not need it.
        if size == 0 { clmdb_overwrite_in_place(file.descriptor) }
        // A file in use keeps its size: the others have mapped that.
        let wanted = size == 0 ? byteCount(readers: readers) : min(size, largest)
        try allocate(file, wanted)
        return file
    }

    /// To be called when LMDB has opened the file: it makes one that nobody uses longer.
    static func complete(_ file: OpenFile) throws(LMDBError) {
        guard let size = fileSize(file.descriptor) else { throw .code(errno, call: "fstat") }
        try allocate(file, min(size, largest))
    }

    /// The bytes of the file that LMDB 0.9 makes: two structures of 64 bytes for the locks, and a slot of 64 bytes for
    /// each reader.
    static func byteCount(readers: Int) -> Int { 128 + 64 * readers }

    /// A longer file is not LMDB's, and need not be allocated.
    private static let largest = 16 << 20

    private static func allocate(_ file: OpenFile, _ byteCount: Int) throws(LMDBError) {
        guard fallocate64(file.descriptor, 0, 0, off_t(byteCount)) != 0 else { return }
        // A file system that cannot promise room is used without the promise.
        if LMDBError.fullDisk.contains(errno) { throw .code(errno, call: "allocating lock.mdb") }
    }
}
