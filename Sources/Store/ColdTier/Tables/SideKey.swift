// The table `sides`: blobs tied to a prefix, listed by name.

package import KVFormat

/// The key of a side state: 32 bytes of prefix hash, then 1 to `Limits.sideStateName` bytes of name in UTF-8. The value
/// is PageCodec's side state record, padded with zeros to its slot.
package struct SideKey: Equatable, Sendable {
    /// The page that the state belongs to.
    package let hash: PrefixHash
    /// Its name.
    package let name: String

    /// A key; nil when the name is empty or longer than `Limits.sideStateName` bytes.
    package init?(_ hash: PrefixHash, name: String) {
        guard (1...Limits.sideStateName).contains(name.utf8.count) else { return nil }
        self.hash = hash
        self.name = name
    }

    /// Reads a key; nil when its length is impossible or the name is not UTF-8.
    package init?(_ key: RawSpan) {
        guard key.byteCount > PrefixHash.byteCount,
            let name = String(validating: key.copy(from: PrefixHash.byteCount), as: UTF8.self)
        else { return nil }
        self.init(PrefixHash(key, at: 0), name: name)
    }

    /// The stored key.
    package var encoded: [UInt8] { hash.bytes + Array(name.utf8) }
}
