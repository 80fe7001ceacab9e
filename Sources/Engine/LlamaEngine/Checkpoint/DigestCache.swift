// Digests of large files, cached under what the file system says about them.
//
// An entry is a small file named after its key, the SHA-256 of names and stamps:
//
//     offset  bytes  field
//          0      8  magic, "PFXDGST1"
//          8     32  key
//         40     32  digest
//         72      8  XXH3-64 of bytes 0..<72, little-endian
//
// An entry that is damaged, of another owner, writable by others or not a regular file does not count. Entries are
// written to a temporary file and renamed. They are not synced, because a lost entry costs only time.

import CHash
import Glibc
import KVFormat

/// A folder of cached digests.
struct DigestCache: Sendable {
    /// Where the entries are.
    let folder: String

    private static let magic = Array("PFXDGST1".utf8)
    private static let entryBytes = 80
    /// A file that changed within this time before it was hashed could change again without a new stamp.
    private static let settlingNanoseconds: Int64 = 2_000_000_000

    /// The cache of this user: `$XDG_CACHE_HOME` or `~/.cache`, then `prefixstore/digests`; `nil` without a home.
    static func ofUser() -> DigestCache? {
        func variable(_ name: String) -> String? {
            guard let value = unsafe getenv(name) else { return nil }
            let path = unsafe String(cString: value)
            return path.hasPrefix("/") ? path : nil
        }
        guard let base = variable("XDG_CACHE_HOME") ?? variable("HOME").map({ $0 + "/.cache" }) else { return nil }
        return DigestCache(folder: base + "/prefixstore/digests")
    }

    /// Nanoseconds since 1970, by the clock that file times have.
    static func now() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
    }

    /// The key of a list of files: it changes with any name or stamp.
    static func key(of files: [(name: String, file: MappedFile)]) throws(EngineError) -> Digest {
        var stream = DigestStream(tag: "prefixstore digest cache 1")
        for (name, file) in files {
            let stamp = file.stamp
            stream.append(text: name)
            for number in [stamp.device, stamp.inode, UInt64(stamp.byteCount)] { stream.append(number: number) }
            stream.append(number: UInt64(bitPattern: stamp.modifiedNanoseconds))
            stream.append(number: UInt64(bitPattern: stamp.changedNanoseconds))
        }
        return try stream.finish()
    }

    /// Whether the stamp of `file` identifies its contents: it is the same as when the file was opened, and old enough.
    static func mayRemember(_ file: MappedFile, now: Int64) -> Bool {
        let stamp = file.stamp
        return FileStamp(path: file.path) == stamp
            && max(stamp.modifiedNanoseconds, stamp.changedNanoseconds) < now - settlingNanoseconds
    }

    /// The remembered digest, or `nil`.
    func digest(for key: Digest) -> Digest? {
        let descriptor = unsafe open(path(of: key), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        guard let stamp = try? FileStamp(descriptor: descriptor, path: ""), stamp.isRegularFile,
            stamp.owner == geteuid(), stamp.mode & 0o022 == 0, stamp.byteCount == Self.entryBytes
        else { return nil }
        var entry = [UInt8](repeating: 0, count: Self.entryBytes)
        guard unsafe read(descriptor, &entry, entry.count) == entry.count else { return nil }
        guard let digest = Digest(bytes: entry[40..<72]), entry == Self.entry(key: key, digest: digest) else {
            return nil
        }
        return digest
    }

    /// Caches `digest`. Failures are ignored.
    func remember(_ digest: Digest, for key: Digest) {
        makeFolder()
        let target = path(of: key)
        let temporary = target + ".\(getpid()).\(UInt32.random(in: 0 ... .max))"
        let descriptor = unsafe open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard descriptor >= 0 else { return }
        let entry = Self.entry(key: key, digest: digest)
        let written = unsafe write(descriptor, entry, entry.count)
        guard close(descriptor) == 0, written == entry.count, unsafe rename(temporary, target) == 0 else {
            unsafe unlink(temporary)
            return
        }
    }

    private static func entry(key: Digest, digest: Digest) -> [UInt8] {
        let body = magic + key.bytes + digest.bytes
        let checksum = unsafe body.withUnsafeBytes { unsafe chash_xxh3($0.baseAddress, $0.count, 0) }
        return body + (0..<8).map { UInt8(truncatingIfNeeded: checksum >> (8 * $0)) }
    }

    private func path(of key: Digest) -> String { "\(folder)/\(key)" }

    /// Makes the folder and those above it, private to the user.
    private func makeFolder() {
        var path = ""
        for component in folder.split(separator: "/") {
            path += "/" + component
            unsafe mkdir(path, 0o700)
        }
    }
}
