// SHA-256 over files, each framed by its name and length so that no two lists of files give the same stream.

import CHash
import Glibc
import KVFormat

/// A SHA-256 state; freed when it goes out of scope.
@safe
struct DigestStream: ~Copyable {
    private let state: OpaquePointer?
    /// Whether every call so far succeeded: libcrypto can fail to allocate.
    private var isSound: Bool

    /// Bytes hashed in one call; between calls nothing is held.
    private static let chunk = 16 << 20

    /// Begins with a tag that names what is hashed.
    init(tag: String) {
        unsafe state = chash_sha256_begin()
        isSound = unsafe state != nil
        append(text: tag)
    }

    deinit {
        var unused = [UInt8](repeating: 0, count: Digest.byteCount)
        if let state = unsafe state { unsafe _ = chash_sha256_finish(state, &unused) }
    }

    /// Appends a file's name, its length and its contents.
    mutating func append(_ file: MappedFile, named name: String) {
        append(text: name)
        append(number: UInt64(file.byteCount))
        var offset = 0
        while offset < file.byteCount {
            let end = min(offset + Self.chunk, file.byteCount)
            unsafe update(UnsafeRawBufferPointer(rebasing: file.buffer[offset..<end]))
            offset = end
        }
    }

    /// Appends the fact that a file is missing.
    mutating func append(absent name: String) {
        append(text: name)
        append(number: .max)
    }

    /// Appends a number.
    mutating func append(number: UInt64) {
        unsafe withUnsafeBytes(of: number.littleEndian) { unsafe update($0) }
    }

    /// Ends the stream.
    ///
    /// - Throws: `.system` when libcrypto could not allocate its state.
    consuming func finish() throws(EngineError) -> Digest {
        var bytes = [UInt8](repeating: 0, count: Digest.byteCount)
        let wasSound = isSound
        let state = unsafe self.state
        discard self  // `chash_sha256_finish` frees the state in every case, so `deinit` must not run.
        guard let state = unsafe state, unsafe chash_sha256_finish(state, &bytes) == 1, wasSound,
            let digest = Digest(bytes: bytes)
        else {
            throw .system(call: "SHA-256", path: "libcrypto", errno: ENOMEM)
        }
        return digest
    }

    /// Appends a text, framed by its length.
    mutating func append(text: String) {
        let bytes = Array(text.utf8)
        append(number: UInt64(bytes.count))
        unsafe bytes.withUnsafeBytes { unsafe update($0) }
    }

    private mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let state = unsafe state, isSound else { return }
        isSound = unsafe chash_sha256_update(state, bytes.baseAddress, bytes.count) == 1
    }
}
