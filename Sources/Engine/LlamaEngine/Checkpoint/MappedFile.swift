// A whole file, mapped read-only.

import Glibc

/// A regular file that is mapped into memory as long as the object exists. Any thread may read it.
@safe
final class MappedFile: @unchecked Sendable {
    /// The path under which the file was opened.
    let path: String
    /// Length in bytes at the time of opening.
    let byteCount: Int
    /// The file's stamp at the time of opening.
    let stamp: FileStamp

    private let start: UnsafeRawPointer?

    /// Maps the file at `path`.
    ///
    /// - Throws: `.missingFile` when there is none, `.gitLFSPointer` when it only stands for one, `.system` for every
    ///   other failure.
    init(path: String) throws(EngineError) {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            throw errno == ENOENT ? .missingFile(path: path) : .system(call: "open", path: path, errno: errno)
        }
        defer { close(descriptor) }
        let stamp = try FileStamp(descriptor: descriptor, path: path)
        guard stamp.isRegularFile else { throw .system(call: "open", path: path, errno: EINVAL) }
        self.path = path
        self.stamp = stamp
        byteCount = stamp.byteCount
        guard byteCount > 0 else {
            unsafe start = nil
            return
        }
        let address = unsafe mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else {
            throw .system(call: "mmap", path: path, errno: errno)
        }
        unsafe start = UnsafeRawPointer(address)
        guard unsafe !buffer.starts(with: "version https://git-lfs.github.com/spec/".utf8) else {
            throw .gitLFSPointer(path: path)
        }
    }

    deinit {
        if let start = unsafe start { unsafe munmap(UnsafeMutableRawPointer(mutating: start), byteCount) }
    }

    /// All bytes of the file; the pointer is valid as long as this object lives.
    var buffer: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: start, count: byteCount) }

    /// All bytes of the file.
    var bytes: RawSpan {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(RawSpan(_unsafeBytes: buffer), borrowing: self) }
    }
}
