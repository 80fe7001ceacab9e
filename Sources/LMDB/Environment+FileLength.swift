// A data file that is shorter than its last page.

import CLMDB
import Glibc

extension Environment {
    /// Makes the data file as long as the pages that it says it has. A look at a page beyond the end of a mapped file ends the
    /// process; a page of zeros, which is no page of LMDB's, is reported as damage by LMDB, or is a record without a checksum.
    ///
    /// A sound file may be short, too: LMDB never writes pages that one transaction took at the end and gave back. So this is no
    /// error, and only ever adds what nobody has written.
    ///
    /// - Throws: `.damaged` when the file cannot be made longer, since it must not be read then.
    @unsafe
    static func completeFile(_ handle: OpaquePointer, _ descriptor: Int32, in folder: String) throws(LMDBError) {
        var info = unsafe MDB_envinfo()
        var stat = MDB_stat()
        try check(unsafe mdb_env_info(handle, &info), call: "mdb_env_info")
        try check(unsafe mdb_env_stat(handle, &stat), call: "mdb_env_stat")
        let page = Int(stat.ms_psize)
        let (last, overflows) = unsafe info.me_last_pgno.multipliedReportingOverflow(by: page)
        guard let size = fileSize(descriptor) else { throw .code(errno, call: "fstat") }
        guard !overflows, unsafe last <= info.me_mapsize - page else {
            throw .damaged("the data file says that it has more pages than fit into its map")
        }
        if size >= last + page { return }
        // A descriptor of its own, for LMDB's may be for reading only. Unlike `ftruncate`, this never makes a file shorter that
        // another process has just made longer.
        let writable = unsafe open(folder + "/data.mdb", O_RDWR | O_CLOEXEC)
        defer { if writable >= 0 { Glibc.close(writable) } }
        guard writable >= 0, posix_fallocate(writable, off_t(last), off_t(page)) == 0 else {
            throw .damaged("the data file is cut short")
        }
    }
}
