// Making the disk start early on the writes of a commit.

import CLMDB
import Glibc
import Threads

extension Environment {
    /// Starts to write the parts of the data file that only the system's memory has, and does not wait for them. It is
    /// only a hint, from any thread: a commit still syncs, but part of its work is done by then. It never starts with a
    /// meta page, which LMDB writes and syncs in one step.
    package func startWriteback() {
        guard process.isHere else { return }
        _ = sync_file_range(descriptor, 0, 0, UInt32(CLMDB_SYNC_FILE_RANGE_WRITE))
    }
}
