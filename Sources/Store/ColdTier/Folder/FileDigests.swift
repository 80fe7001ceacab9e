// SHA-256 of large files, remembered in the store's folder by what the file system says of them.
//
// In the folder, because that is where a store may write, it lives as long as what the digests are for, and a container
// that keeps the folder keeps them. The file `digests` has one entry per file, the newest first:
//
//     offset  bytes  field
//          0     40  device, inode, bytes, modification time and change time in nanoseconds since 1970
//         40     32  SHA-256 of the contents
//         72      8  XXH3-64 of bytes 0..<72, seeded by the SHA-256 of "PFX digest 1"
//
// An entry that is damaged does not count, nor does a file of another owner or one that others may write. It is written
// beside and renamed, and not synced, since a lost entry costs time only. Of two processes that write at once one is
// lost.

internal import Glibc
package import KVFormat
internal import LMDB
internal import Threads

/// The digests that a store's folder remembers.
package struct FileDigests: Sendable {
    /// The file in the store's folder.
    static let file = "digests"
    private static let entryBytes = 80
    /// Entries kept: more files than any model has.
    private static let capacity = 256
    private static let key = PrefixHash.sha256(Array("PFX digest 1".utf8))

    private let path: String
    private let settling: Duration

    /// The digests of the store in `folder`.
    ///
    /// - Parameter settling: a file that was changed within this time before is not remembered: it could change again
    ///   without its times showing it.
    package init(folder: String, settling: Duration = .seconds(2)) {
        path = folder + "/" + Self.file
        self.settling = settling
    }

    /// SHA-256 of the contents of a file, read only if it is not remembered.
    ///
    /// - Throws: `.invalidOption` when there is no regular file at `file`; `.system` when it cannot be read.
    package func digest(ofFile file: String) throws(StoreError) -> Digest {
        let opened = try OpenedFile(file)
        defer { opened.close() }
        let stamp = try opened.stamp()
        if let known = entries.first(where: { $0.prefix(FileStamp.byteCount).elementsEqual(stamp.bytes) }),
            let digest = Digest(bytes: known[FileStamp.byteCount..<FileStamp.byteCount + Digest.byteCount])
        {
            return digest
        }
        let digest = try opened.digest()
        let now = SystemClock.wallMilliseconds() * 1_000_000
        if try opened.stamp() == stamp, stamp.latest < now - settling.nanoseconds {
            StandardDescriptors.taken { FileLimit.isError { remember(digest, stamp) } }
        }
        return digest
    }

    /// SHA-256 of the contents of a file. The errors are those of `digest(ofFile:)`.
    package static func digest(ofFile file: String) throws(StoreError) -> Digest {
        let opened = try OpenedFile(file)
        defer { opened.close() }
        return try opened.digest()
    }

    /// The entries that count; none when the file cannot be trusted.
    private var entries: [[UInt8]] {
        let descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return [] }
        defer { Glibc.close(descriptor) }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_uid == geteuid(),
            status.st_mode & 0o022 == 0
        else { return [] }
        var bytes = [UInt8](repeating: 0, count: Self.capacity * Self.entryBytes)
        let count = unsafe read(descriptor, &bytes, bytes.count)
        return stride(from: 0, through: count - Self.entryBytes, by: Self.entryBytes).compactMap { start in
            let entry = Array(bytes[start..<start + Self.entryBytes])
            return unsafe entry.span.bytes.endsWithChecksum(key: Self.key) ? entry : nil
        }
    }

    /// Writes an entry in place of an older one of the same file; whatever fails is ignored.
    private func remember(_ digest: Digest, _ stamp: FileStamp) {
        var writer = ByteWriter(capacity: Self.entryBytes)
        for word in stamp.words { writer.append(word) }
        writer.append(contentsOf: digest.bytes)
        writer.appendChecksum(key: Self.key)
        let others = entries.filter { !$0.starts(with: stamp.bytes.prefix(FileStamp.nameBytes)) }
        let bytes = writer.bytes + others.prefix(Self.capacity - 1).joined()
        let aside = path + ".\(getpid())-\(SystemClock.monotonicNanoseconds())"
        let descriptor = unsafe Glibc.open(aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return }
        let written = unsafe write(descriptor, bytes, bytes.count)
        guard Glibc.close(descriptor) == 0, written == bytes.count, unsafe rename(aside, path) == 0 else {
            unsafe unlink(aside)
            return
        }
    }
}

/// What tells one state of a file from another without reading it.
private struct FileStamp: Equatable {
    static let byteCount = 40
    /// The first bytes, which are the same for every state of one file.
    static let nameBytes = 16

    /// Device, inode, bytes, modification time, change time. A program can set the modification time back, but not the
    /// other.
    let words: [UInt64]

    init(_ status: stat) {
        func nanoseconds(_ time: timespec) -> UInt64 {
            UInt64(bitPattern: Int64(time.tv_sec) &* 1_000_000_000 &+ Int64(time.tv_nsec))
        }
        words = [
            UInt64(status.st_dev), UInt64(status.st_ino), UInt64(bitPattern: Int64(status.st_size)),
            nanoseconds(status.st_mtim), nanoseconds(status.st_ctim),
        ]
    }

    /// The latest time of a change.
    var latest: Int64 { max(Int64(bitPattern: words[3]), Int64(bitPattern: words[4])) }

    var bytes: [UInt8] {
        words.flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }
}

/// A file that is open for reading.
private struct OpenedFile {
    private static let chunkBytes = 1 << 20
    private let descriptor: Int32

    init(_ path: String) throws(StoreError) {
        // Without O_NONBLOCK a pipe would wait for a writer.
        descriptor = unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else {
            if errno == ENOENT || errno == ENOTDIR { throw .invalidOption("there is no file \(path)") }
            throw .system(call: "open", errno: errno)
        }
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close()
            throw .invalidOption("\(path) is not a regular file")
        }
    }

    func close() { Glibc.close(descriptor) }

    func stamp() throws(StoreError) -> FileStamp {
        var status = stat()
        guard unsafe fstat(descriptor, &status) == 0 else { throw .system(call: "fstat", errno: errno) }
        return FileStamp(status)
    }

    func digest() throws(StoreError) -> Digest {
        var stream = HashStream()
        var chunk = [UInt8](repeating: 0, count: Self.chunkBytes)
        while true {
            let count = unsafe read(descriptor, &chunk, chunk.count)
            if count == 0 { break }
            guard count > 0 else {
                if errno == EINTR { continue }
                throw .system(call: "read", errno: errno)
            }
            unsafe chunk.withUnsafeBytes { bytes in
                unsafe stream.append(UnsafeRawBufferPointer(rebasing: bytes[..<count]))
            }
        }
        guard let digest = stream.finish() else { throw .system(call: "SHA-256", errno: ENOMEM) }
        return digest
    }
}
