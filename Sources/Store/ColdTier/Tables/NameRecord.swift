// The table `names`: what people call a prefix.

package import KVFormat

/// The prefix that a name stands for. The key is the name: 1 to 64 bytes of UTF-8 without control characters
/// and others that cannot be seen.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<32 | prefix hash |
/// | 32..<64 | space root |
/// | 64..<72 | created, milliseconds since the Unix epoch |
/// | 72..<80 | XXH3-64 of the bytes before, seeded by the SHA-256 of the name |
package struct NameRecord: Equatable, Sendable {
    static let byteCount = 80

    /// The page or block. It may be gone: a name does not protect it.
    package var hash: PrefixHash
    /// The space.
    package var root: PrefixHash
    /// Milliseconds since the Unix epoch.
    package var createdAt: Int64

    /// A record from its fields.
    package init(hash: PrefixHash, root: PrefixHash, createdAt: Int64) {
        self.hash = hash
        self.root = root
        self.createdAt = createdAt
    }

    /// Reads the record of the name `name`; nil when either is damaged.
    package init?(_ bytes: RawSpan, name: [UInt8]) {
        guard bytes.byteCount == Self.byteCount, let text = String(validating: name, as: UTF8.self),
            (try? Limits.check(prefixName: text)) != nil, bytes.endsWithChecksum(key: .sha256(name))
        else { return nil }
        hash = PrefixHash(bytes, at: 0)
        root = PrefixHash(bytes, at: 32)
        createdAt = bytes.integer(at: 64, as: Int64.self)
    }

    /// The bytes stored under `name`.
    package func encoded(name: [UInt8]) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(hash)
        writer.append(root)
        writer.append(createdAt)
        writer.appendChecksum(key: .sha256(name))
        return writer.bytes
    }
}
