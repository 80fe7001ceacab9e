// SHA-256 of bytes that come piece by piece.

internal import CHash

/// A SHA-256 under way. Freed when it goes out of scope.
@safe
package struct HashStream: ~Copyable {
    private let state: OpaquePointer?
    /// Whether every call so far succeeded: libcrypto can fail to allocate.
    private var isSound: Bool

    /// A stream without bytes.
    package init() {
        unsafe state = chash_sha256_begin()
        isSound = unsafe state != nil
    }

    deinit {
        var unused = [UInt8](repeating: 0, count: Digest.byteCount)
        if let state = unsafe state { unsafe _ = chash_sha256_finish(state, &unused) }
    }

    /// Appends bytes.
    package mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let state = unsafe state, isSound else { return }
        isSound = unsafe chash_sha256_update(state, bytes.baseAddress, bytes.count) == 1
    }

    /// Ends the stream. Nil when libcrypto could not allocate its state.
    package consuming func finish() -> Digest? {
        var digest = [UInt8](repeating: 0, count: Digest.byteCount)
        let wasSound = isSound
        let state = unsafe self.state
        discard self  // `chash_sha256_finish` frees the state in every case, so `deinit` must not run.
        guard let state = unsafe state, unsafe chash_sha256_finish(state, &digest) == 1, wasSound else { return nil }
        return Digest(bytes: digest)
    }
}
