// The table `spaces`: space root -> counters and descriptor.

package import KVFormat

/// A space with its counters.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | pages |
/// | 8..<16 | bytes that they occupy, `SlotSize.physicalBytes` |
/// | 16..<24 | tokens that hits have given |
/// | 24..<32 | last use, milliseconds since the Unix epoch |
/// | 32..<40 | measured prefill, nanoseconds a token; 0 when unknown |
/// | 40..<48 | XXH3-64 of the bytes before, seeded by the space root |
/// | 48.. | `SpaceDescriptor.encoded`, checked by its own hash: the key |
package struct SpaceRecord: Equatable, Sendable {
    static let counterBytes = 48

    /// Pages of the space.
    package var pages: UInt64 = 0
    /// Bytes that they occupy on disk, side states included.
    package var physicalBytes: UInt64 = 0
    /// Tokens that hits have given.
    package var hitTokens: UInt64 = 0
    /// Milliseconds since the Unix epoch.
    package var lastUse: Int64 = 0
    /// Nanoseconds that the engine needs to prefill a token; 0 when unknown.
    package var prefillNanoseconds: UInt64 = 0
    /// The identity.
    package var descriptor: SpaceDescriptor

    /// A space without pages.
    package init(_ descriptor: SpaceDescriptor) { self.descriptor = descriptor }

    /// Reads a stored space; nil when the descriptor is damaged. Damaged counters read as zeros: they are for people.
    package init?(_ bytes: RawSpan, root: PrefixHash) {
        guard bytes.byteCount > Self.counterBytes,
            let descriptor = SpaceDescriptor(bytes.copy(from: Self.counterBytes)), descriptor.root == root
        else { return nil }
        self.descriptor = descriptor
        guard bytes.extracting(0..<Self.counterBytes).endsWithChecksum(key: root) else { return }
        pages = bytes.integer(at: 0, as: UInt64.self)
        physicalBytes = bytes.integer(at: 8, as: UInt64.self)
        hitTokens = bytes.integer(at: 16, as: UInt64.self)
        lastUse = bytes.integer(at: 24, as: Int64.self)
        prefillNanoseconds = bytes.integer(at: 32, as: UInt64.self)
    }

    /// The stored bytes.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 1024)
        writer.append(pages)
        writer.append(physicalBytes)
        writer.append(hitTokens)
        writer.append(lastUse)
        writer.append(prefillNanoseconds)
        writer.appendChecksum(key: descriptor.root)
        writer.append(contentsOf: descriptor.encoded)
        return writer.bytes
    }
}
