// The process-wide register of open folders, and the check of a folder before LMDB sees it.
//
// If a process opens one folder twice and closes the second environment, all its file locks on the folder are dropped,
// including those of the first. What the first then reads can be overwritten while it reads. So a second open is an
// error; folders are compared by device and inode.

import CLMDB
import Glibc
import Threads

extension FileIdentity {
    /// Reads the identity of a folder. Throws `.notAFolder`, or `.code` when that fails.
    init(folder path: String) throws(LMDBError) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { throw .notAFolder(path: path) }
            throw .code(errno, call: "stat")
        }
        guard status.st_mode & S_IFMT == S_IFDIR else { throw .notAFolder(path: path) }
        self.init(status)
    }
}

/// The folders this process has open.
final class OpenFolders: Sendable {
    /// The one register of the process.
    static let shared = OpenFolders()

    private struct Holder {
        let folder: FileIdentity
        let process: pid_t
    }

    /// The process that opened each folder. Entries inherited through a fork do not count, because file locks are not
    /// inherited. A list, since they are few: making the type of a dictionary takes a twentieth of an opening's time.
    private let holders = Guarded<[Holder]>([])

    /// Enters a folder; throws `.alreadyOpen` when this process has it open.
    func insert(_ folder: FileIdentity, path: String) throws(LMDBError) {
        let own = Holder(folder: folder, process: getpid())
        let isOpen = holders.withLock { holders in
            if holders.contains(where: { $0.folder == folder && $0.process == own.process }) { return true }
            holders.removeAll { $0.folder == folder }
            holders.append(own)
            return false
        }
        if isOpen { throw .alreadyOpen(path: path) }
    }

    /// Removes a folder.
    func remove(_ folder: FileIdentity) {
        holders.withLock { $0.removeAll { $0.folder == folder } }
    }
}

/// File systems by the number that `statfs` reports.
enum FileSystem {
    /// Those whose files live on another host. FUSE is not among them: most of its file systems are local.
    static let network: [UInt32] = [
        0x6969,  // NFS
        0x517B,  // SMB
        0xFF53_4D42,  // CIFS
        0xFE53_4D42,  // SMB2
        0x5346_414F,  // OpenAFS
        0x6B41_4653,  // AFS of the kernel
        0x7375_7245,  // Coda
        0x0102_1997,  // 9P
        0x00C3_6400,  // Ceph
        0x0BD0_0BD0,  // Lustre
        0x4750_4653,  // GPFS
        0x564C,  // NCP
    ]

    /// Throws `.networkFileSystem` when the folder is on one.
    static func requireLocal(_ path: String) throws(LMDBError) {
        var status = statfs()
        guard unsafe statfs(path, &status) == 0 else { throw .code(errno, call: "statfs") }
        guard !network.contains(UInt32(truncatingIfNeeded: status.f_type)) else {
            throw .networkFileSystem(path: path)
        }
    }
}
