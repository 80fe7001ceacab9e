// The length of the data file: one that is shorter than its last page, and room behind that for what a writer needs.

import CLMDB
import Glibc

extension Environment {
    /// Extends the data file to the number of pages that its header names. Reading a page beyond the end of a mapped
    /// file would end the process. A page of zeros does not: LMDB reports it as damage, or it reads as a record without
    /// a checksum.
    ///
    /// Even a sound file may be short: LMDB never writes pages that one transaction took at the end of the file and
    /// gave back. So a short file is not an error, and the extension only adds what no process has written.
    /// - Throws: a `.code` when the file cannot be extended, because it must not be read then.
    @unsafe
    static func completeFile(
        _ handle: OpaquePointer, _ descriptor: Int32, pageSize: Int, in folder: String
    ) throws(LMDBError) {
        var info = unsafe MDB_envinfo()
        try check(unsafe mdb_env_info(handle, &info), call: "mdb_env_info")
        let (last, overflows) = unsafe info.me_last_pgno.multipliedReportingOverflow(by: pageSize)
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        // LMDB maps all pages that it knows at open. Another process may have enlarged the map since and added pages,
        // but LMDB does not read those before it has adopted the new size.
        guard !overflows, unsafe last < info.me_mapsize, size < last + pageSize else { return }
        // A separate descriptor, because LMDB's may be read-only. Unlike `ftruncate`, this never shortens a file that
        // another process has just extended.
        let writable = unsafe Glibc.open(folder + "/data.mdb", O_RDWR | O_CLOEXEC)
        guard writable >= 0 else { throw .code(errno, call: "making the data file whole") }
        defer { Glibc.close(writable) }
        let status = posix_fallocate(writable, off_t(last), off_t(pageSize))
        guard status == 0 else { throw .code(status, call: "making the data file whole") }
    }
}

extension WriteTransaction {
    /// Sees to it that the data file has `byteCount` bytes of disk behind its last page: a transaction that takes no
    /// more of them never finds the disk full. Only this transaction can take them, because only one writes.
    ///
    /// - Returns: false when the disk, a quota of the file system or a limit on files has no room for that; true where
    ///   the file system cannot promise anything.
    package borrowing func reserveDisk(_ byteCount: Int) throws(LMDBError) -> Bool {
        let used = try bytesAtBeginning
        guard let size = fileSize(core.descriptor) else { throw .code(errno, call: "fstat") }
        guard used < .max - byteCount, size < used + byteCount else { return true }
        return canExtend(core.descriptor, from: size, by: used + byteCount - size)
    }

    /// Bytes of the file, up to the last page that was in use or on the free list when this transaction began.
    package var bytesAtBeginning: Int {
        get throws(LMDBError) {
            var info = unsafe MDB_envinfo()
            try check(unsafe mdb_env_info(mdb_txn_env(core.handle), &info), call: "mdb_env_info")
            let (bytes, overflows) = unsafe (info.me_last_pgno &+ 1).multipliedReportingOverflow(by: core.pageSize)
            return overflows ? .max : bytes
        }
    }
}

/// Extends a file from its end on, unless the disk has no room for that. Only ever makes it longer, whatever other
/// processes do meanwhile.
func canExtend(_ descriptor: Int32, from size: Int, by byteCount: Int) -> Bool {
    fallocate64(descriptor, 0, off_t(size), off_t(byteCount)) == 0 || !LMDBError.fullDisk.contains(errno)
}
