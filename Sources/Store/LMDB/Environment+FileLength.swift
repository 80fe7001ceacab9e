// A data file that is shorter than its last page.

import CLMDB
import Glibc

extension Environment {
    /// Makes the data file as long as the pages that it says it has. A look at a page beyond the end of a mapped file
    /// ends the process; a page of zeros, which is no page of LMDB's, is reported as damage by LMDB, or is a record
    /// without a checksum.
    ///
    /// A sound file may be short, too: LMDB never writes pages that one transaction took at the end and gave back. So
    /// this is no error, and only ever adds what nobody has written.
    ///
    /// - Throws: a `.code` when the file cannot be made longer, since it must not be read then.
    @unsafe
    static func completeFile(
        _ handle: OpaquePointer, _ descriptor: Int32, pageSize: Int, in folder: String
    ) throws(LMDBError) {
        var info = unsafe MDB_envinfo()
        try check(unsafe mdb_env_info(handle, &info), call: "mdb_env_info")
        let (last, overflows) = unsafe info.me_last_pgno.multipliedReportingOverflow(by: pageSize)
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        // LMDB maps all pages that it knows of at open. More of them come from a process that has enlarged the map
        // since, and LMDB does not look at them before it has followed.
        guard !overflows, unsafe last < info.me_mapsize, size < last + pageSize else { return }
        // A descriptor of its own, for LMDB's may be for reading only. Unlike `ftruncate`, this never makes a file
        // shorter that another process has just made longer.
        let writable = unsafe Glibc.open(folder + "/data.mdb", O_RDWR | O_CLOEXEC)
        guard writable >= 0 else { throw .code(errno, call: "making the data file whole") }
        defer { Glibc.close(writable) }
        let status = posix_fallocate(writable, off_t(last), off_t(pageSize))
        guard status == 0 else { throw .code(status, call: "making the data file whole") }
    }
}
