// Room behind the data file's last page, for what a writer needs.

import CLMDB
import Glibc

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

/// Whether the disk that holds a file is full: it has no room for one page more, or for less than a transaction may
/// write. XFS and btrfs refuse a long write while a page still finds room.
func isDiskFull(_ descriptor: Int32) -> Bool {
    guard let size = fileSize(descriptor) else { return false }
    if !canExtend(descriptor, from: size, by: 1) { return true }
    // Two batches of pages.
    let least: UInt64 = 64 << 20
    var status = statvfs()
    guard unsafe fstatvfs(descriptor, &status) == 0 else { return false }
    let (free, overflows) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
    return !overflows && free < least
}
