// The checksum over stored bytes.

internal import CHash

/// XXH3-64, seeded with what the bytes are stored under, so that sound bytes in a wrong place do not pass. A checksum against
/// accidents, never an identity. Thread-safe.
package enum Checksum {
    /// The checksum of `bytes` stored under `key` as part number `part` (a frame's index, for instance).
    package static func of(_ bytes: RawSpan, key: PrefixHash, part: UInt64) -> UInt64 {
        let seed = seed(key: key, part: part)
        return unsafe bytes.withUnsafeBytes { unsafe chash_xxh3($0.baseAddress, $0.count, seed) }
    }

    fileprivate static func seed(key: PrefixHash, part: UInt64) -> UInt64 {
        // The odd constant (2^64 / golden ratio) keeps neighbouring parts from sharing a seed with a neighbouring key.
        key.prefixWord ^ (part &* 0x9E37_79B9_7F4A_7C15)
    }
}

/// The same checksum of bytes that come bit by bit. Allocated once and used for one checksum after the other; one thread
/// at a time.
@safe
package struct ChecksumStream: ~Copyable {
    private let state: OpaquePointer

    package init() {
        guard let made = unsafe chash_xxh3_new() else { preconditionFailure("no memory for a checksum") }
        unsafe state = unsafe made
    }

    deinit { unsafe chash_xxh3_free(state) }

    /// Begins the checksum of bytes stored under `key` as part number `part`; what was begun before is forgotten.
    package borrowing func begin(key: PrefixHash, part: UInt64) {
        unsafe chash_xxh3_begin(state, Checksum.seed(key: key, part: part))
    }

    /// Adds `count` bytes.
    @unsafe
    package borrowing func update(_ bytes: UnsafeRawPointer, _ count: Int) {
        unsafe chash_xxh3_update(state, bytes, count)
    }

    /// The checksum of the bytes so far.
    package borrowing func value() -> UInt64 { unsafe chash_xxh3_finish(state) }
}
