// The checksum over encoded bytes.

internal import CHash

/// XXH3-64, seeded with the key that the bytes are stored under, so that sound bytes in a wrong place do not pass. It
/// guards against accidents and is never an identity. Thread-safe.
package enum Checksum {
    /// The checksum of `bytes` stored under `key` as part number `part` (for example a frame's index).
    package static func of(_ bytes: RawSpan, key: PrefixHash, part: UInt64) -> UInt64 {
        let seed = seed(key: key, part: part)
        return unsafe bytes.withUnsafeBytes { unsafe chash_xxh3($0.baseAddress, $0.count, seed) }
    }

    /// The seed of the checksum of part number `part` stored under `key`.
    package static func seed(key: PrefixHash, part: UInt64) -> UInt64 {
        // The odd constant (2^64 / golden ratio) keeps neighbouring parts from sharing a seed with a neighbouring key.
        key.prefixWord ^ (part &* 0x9E37_79B9_7F4A_7C15)
    }
}
