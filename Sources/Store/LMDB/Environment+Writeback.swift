// Making the disk begin early with what a commit writes.

import CLMDB
import Glibc

extension Environment {
    /// Starts to write what the system holds of the data file and the disk does not have, and waits for none of it.
    /// Only a hint, from any thread: a commit syncs all the same, but finds part of its work done. Never begins with a
    /// meta page, which LMDB writes and syncs in one step.
    package func startWriteback() {
        guard getpid() == processId else { return }
        _ = sync_file_range(descriptor, 0, 0, UInt32(CLMDB_SYNC_FILE_RANGE_WRITE))
    }
}
