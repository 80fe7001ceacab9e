// Why encoded bytes are not used.

internal import KVFormat

/// Why a record is a miss. The response is always the same: recompute, count, quarantine.
package enum RecordDamage: Error, Hashable, Sendable {
    /// Fewer bytes than the record says it has.
    case truncated
    /// The bytes do not begin like a record.
    case notARecord
    /// A record of a version that this build does not read.
    case unknownVersion(UInt16)
    /// A sealed record, and no key to read it.
    case sealed
    /// A record of another page, side state or block in the wrong place. The record itself may be sound.
    case wrongKey
    /// The checksum of header and frame table is wrong.
    case badHeader
    /// The header is sound, but its kind, element type, token count or size differs from what the layout says.
    case wrongShape
    /// An impossible entry of the frame table: a gap, or a size that does not fit the layout.
    case badFrame(Int)
    /// A frame of a codec that this build does not know.
    case unknownCodec(frame: Int, codec: UInt8)
    /// A frame's encoded bytes do not have the checksum written with them.
    case badChecksum(frame: Int)
    /// A frame's encoded bytes have their checksum but cannot be decoded.
    case undecodable(frame: Int)
}

extension RecordDamage: CustomStringConvertible {
    /// What is wrong, as a clause without a full stop. It contains no stored byte.
    package var description: String {
        switch self {
        case .truncated: "the record is cut short"
        case .notARecord: "the bytes are not a record"
        case .unknownVersion(let version): "the record has version \(version), this build reads \(RecordHeader.version)"
        case .sealed: "the record is sealed, and its key was not given"
        case .wrongKey: "the record belongs to another key"
        case .badHeader: "the record's header fails its checksum"
        case .wrongShape: "the record does not fit the KV layout"
        case .badFrame(let frame): "frame \(frame)'s entry is impossible"
        case .unknownCodec(let frame, let codec): "frame \(frame) has codec \(codec), unknown to this build"
        case .badChecksum(let frame): "frame \(frame) fails its checksum"
        case .undecodable(let frame): "frame \(frame) cannot be decoded"
        }
    }
}
