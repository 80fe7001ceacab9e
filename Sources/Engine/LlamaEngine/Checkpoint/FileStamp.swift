// What distinguishes two states of a file without reading it.

import Glibc

/// Device, inode, size and times of a file. Equal stamps mean equal contents, unless the file was changed within the
/// clock's granularity; `DigestCache` allows for that.
struct FileStamp: Equatable, Sendable {
    let device: UInt64
    let inode: UInt64
    let byteCount: Int
    let modifiedNanoseconds: Int64
    /// When contents or metadata changed last. A program can set back the modification time, but not this one.
    let changedNanoseconds: Int64
    let owner: UInt32
    let mode: UInt32

    var isRegularFile: Bool { mode & S_IFMT == S_IFREG }

    /// The stamp of an open file.
    init(descriptor: Int32, path: String) throws(EngineError) {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else {
            throw .system(call: "fstat", path: path, errno: errno)
        }
        self.init(status)
    }

    /// The present stamp of the file at `path`; `nil` when it cannot be read.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        byteCount = Int(status.st_size)
        modifiedNanoseconds = Int64(status.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_mtim.tv_nsec)
        changedNanoseconds = Int64(status.st_ctim.tv_sec) &* 1_000_000_000 &+ Int64(status.st_ctim.tv_nsec)
        owner = status.st_uid
        mode = status.st_mode
    }
}
