// The table `spaces`: space root -> counters and descriptor.

package import KVFormat

/// A space with its counters.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | tokens that hits have given |
/// | 8..<16 | last use, milliseconds since the Unix epoch |
/// | 16..<24 | measured prefill, nanoseconds per token; 0 when unknown |
/// | 24..<32 | XXH3-64 of the bytes before, seeded by the space root |
/// | 32..<34 | bytes of the wrapped key, at most 256; 0 for a space that is not sealed |
/// | 34..<34+n | the wrapped key |
/// | 34+n.. | `SpaceDescriptor.encoded`, checked by its own hash: the key |
package struct SpaceRecord: Equatable, Sendable {
    static let counterBytes = 32

    /// Tokens that hits have given.
    package var hitTokens: UInt64 = 0
    /// Milliseconds since the Unix epoch.
    package var lastUse: Int64 = 0
    /// Nanoseconds that the engine needs to prefill a token; 0 when unknown.
    package var prefillNanoseconds: UInt64 = 0
    /// The key that seals the space's content, itself encrypted for the owner (`WrappedKey`); empty for a space that is
    /// not sealed.
    package var wrappedKey: [UInt8] = []
    /// The identity.
    package var descriptor: SpaceDescriptor

    /// A space without pages.
    package init(_ descriptor: SpaceDescriptor, lastUse: Int64 = 0) {
        self.descriptor = descriptor
        self.lastUse = lastUse
    }

    /// Reads a stored space; nil when the descriptor is damaged. Damaged counters read as zeros, because only people
    /// read them.
    package init?(_ bytes: RawSpan, root: PrefixHash) {
        guard bytes.byteCount > Self.counterBytes + 2 else { return nil }
        let keyBytes = Int(bytes.integer(at: Self.counterBytes, as: UInt16.self))
        let start = Self.counterBytes + 2 + keyBytes
        guard keyBytes <= Limits.wrappedKey, bytes.byteCount > start,
            let descriptor = SpaceDescriptor(bytes.copy(from: start)), descriptor.root == root
        else { return nil }
        self.descriptor = descriptor
        wrappedKey = bytes.extracting(0..<start).copy(from: Self.counterBytes + 2)
        guard bytes.extracting(0..<Self.counterBytes).endsWithChecksum(key: root) else { return }
        hitTokens = bytes.integer(at: 0, as: UInt64.self)
        lastUse = bytes.integer(at: 8, as: Int64.self)
        prefillNanoseconds = bytes.integer(at: 16, as: UInt64.self)
    }

    /// The bytes of the table's value.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 1024)
        writer.append(hitTokens)
        writer.append(lastUse)
        writer.append(prefillNanoseconds)
        writer.appendChecksum(key: descriptor.root)
        writer.append(UInt16(wrappedKey.count))
        writer.append(contentsOf: wrappedKey)
        writer.append(contentsOf: descriptor.encoded)
        return writer.bytes
    }
}
