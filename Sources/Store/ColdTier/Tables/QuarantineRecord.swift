// The table `quarantine`: which pages were removed because they could not be trusted, and why.

package import KVFormat

/// Why a page was removed. Stored as its number.
package enum QuarantineReason: UInt8, Sendable, CaseIterable, CustomStringConvertible {
    /// The node's checksum or fields were wrong, or it named another key.
    case damagedNode = 1
    /// The page's header or a frame failed its checksum, or could not be decoded.
    case damagedRecord = 2
    /// The index names the page, but its record is not there.
    case missingRecord = 3
    /// The token ids of the node are not those of its prefix hash.
    case wrongTokens = 4
    /// The page comes after one that was removed.
    case orphaned = 5
    /// A side state failed its checksum.
    case damagedSideState = 6
    /// The checksums of the record are right, but it cannot be decoded.
    case undecodable = 7

    /// The reason as people read it.
    package var description: String {
        switch self {
        case .damagedNode: "damaged node"
        case .damagedRecord: "damaged record"
        case .missingRecord: "missing record"
        case .wrongTokens: "wrong token ids"
        case .orphaned: "parent was quarantined"
        case .damagedSideState: "damaged side state"
        case .undecodable: "undecodable record"
        }
    }
}

/// A page that was removed.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | when, milliseconds since the Unix epoch |
/// | 8 | reason |
/// | 9..<16 | 0 |
/// | 16..<24 | bytes that it occupied; 0 when unknown |
/// | 24..<56 | space root; zeros when unknown |
package struct QuarantineRecord: Equatable, Sendable {
    static let byteCount = 56

    /// Milliseconds since the Unix epoch.
    package var time: Int64
    /// Why the page was removed.
    package var reason: QuarantineReason
    /// Bytes that the page occupied; 0 when unknown.
    package var slotBytes: UInt64
    /// The space, or zeros when unknown.
    package var root: PrefixHash

    /// A record from its fields.
    package init(time: Int64, reason: QuarantineReason, slotBytes: UInt64, root: PrefixHash) {
        self.time = time
        self.reason = reason
        self.slotBytes = slotBytes
        self.root = root
    }

    /// Reads a stored record; nil when its length or reason is impossible.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount,
            let reason = QuarantineReason(rawValue: bytes.integer(at: 8, as: UInt8.self))
        else { return nil }
        time = bytes.integer(at: 0, as: Int64.self)
        self.reason = reason
        slotBytes = bytes.integer(at: 16, as: UInt64.self)
        root = PrefixHash(bytes, at: 24)
    }

    /// The bytes of the table's value.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(time)
        writer.append(reason.rawValue)
        writer.append(contentsOf: [UInt8](repeating: 0, count: 7))
        writer.append(slotBytes)
        writer.append(root)
        return writer.bytes
    }
}
