// Why encoded bytes are not used.

internal import KVFormat

/// Why a record is a miss. Whatever the reason, the answer is the same: recompute, count, quarantine.
package enum RecordDamage: Error, Hashable, Sendable {
    /// Fewer bytes than the record says it has.
    case truncated
    /// The bytes do not begin like a record.
    case notARecord
    /// A record of a version that this build does not read.
    case unknownVersion(UInt16)
    /// A sealed record: only a build that has its owner's key reads it.
    case sealed
    /// A record of another page, side state or block, whole perhaps, in the wrong place.
    case wrongKey
    /// Header or frame table do not have the checksum written with them.
    case badHeader
    /// Header sound, but of another kind, element type, token count or size than the layout says.
    case wrongShape
    /// An entry of the frame table that cannot be: gaps, sizes that do not fit the layout.
    case badFrame(Int)
    /// A frame of a codec that this build does not know.
    case unknownCodec(frame: Int, codec: UInt8)
    /// A frame's encoded bytes do not have the checksum written with them.
    case badChecksum(frame: Int)
    /// A frame's encoded bytes have their checksum but cannot be decoded.
    case undecodable(frame: Int)
}

extension RecordDamage: CustomStringConvertible {
    /// What is wrong, as a clause without a full stop; never any stored byte.
    package var description: String {
        switch self {
        case .truncated: "the record is cut short"
        case .notARecord: "the bytes are no record"
        case .unknownVersion(let version): "the record has version \(version), this build reads \(RecordHeader.version)"
        case .sealed: "the record is sealed, which this build cannot read"
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
