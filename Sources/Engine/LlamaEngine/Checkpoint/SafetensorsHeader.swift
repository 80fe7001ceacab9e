// The header of a safetensors file: which tensor lies where.
//
//     offset bytes field 0 8 header length N, little-endian 8 N one JSON object: name -> { dtype, shape, data_offsets:
//     [begin, end) }, and "__metadata__" 8+N data; the tensors cover it without gap and without overlap Nothing in it
//     is trusted: in a file that passes the checks, every tensor lies inside the file and on its own bytes.

import Foundation

/// Where a tensor lies inside its file.
struct TensorEntry: Equatable, Sendable {
    /// The element type as the file spells it.
    let dtype: String
    /// Extents, outermost first.
    let shape: [Int]
    /// Offset from the beginning of the file, in bytes.
    let offset: Int
    let byteCount: Int
}

/// The checked header of a weight file.
struct SafetensorsHeader: Sendable {
    /// Tensors by name.
    let tensors: [String: TensorEntry]

    /// Bytes of one element, by the format's names. All types are listed, because a file may also hold tensors of types
    /// that the engine does not compute with.
    private static let elementBytes: [String: Int] = [
        "BOOL": 1, "U8": 1, "I8": 1, "F8_E5M2": 1, "F8_E4M3": 1, "U16": 2, "I16": 2, "F16": 2, "BF16": 2,
        "U32": 4, "I32": 4, "F32": 4, "U64": 8, "I64": 8, "F64": 8,
    ]

    /// Reads and checks the header of `file`, which errors call `name`.
    init(of file: MappedFile, name: String) throws(EngineError) {
        let (json, dataOffset) = try Self.split(file, name: name)
        let raw: RawHeader
        do {
            raw = try JSONDecoder().decode(RawHeader.self, from: json)
        } catch {
            throw .malformedHeader(file: name, reason: "it is not a JSON object of tensors")
        }
        var tensors: [String: TensorEntry] = [:]
        tensors.reserveCapacity(raw.tensors.count)
        for (tensor, entry) in raw.tensors {
            tensors[tensor] = try Self.check(entry, of: tensor, in: name, file: file, dataOffset: dataOffset)
        }
        try Self.checkCoverage(tensors, name: name, from: dataOffset, to: file.byteCount)
        self.tensors = tensors
    }

    /// The header's JSON, and where the data begins.
    private static func split(_ file: MappedFile, name: String) throws(EngineError) -> (Data, Int) {
        guard file.byteCount >= 8 else { throw .truncatedFile(file: name, bytes: file.byteCount, needed: 8) }
        let announced = UInt64(littleEndian: unsafe file.buffer.loadUnaligned(as: UInt64.self))
        let start = unsafe file.buffer[..<8]
        guard unsafe !start.allSatisfy({ (0x20...0x7E).contains($0) }) else {
            let text = unsafe String(decoding: start, as: UTF8.self)
            throw .malformedHeader(file: name, reason: "it begins with the text \(text)")
        }
        guard announced >= 2, announced <= UInt64(CheckpointLimits.headerBytes) else {
            throw .malformedHeader(file: name, reason: "its length of \(announced) bytes is out of bounds")
        }
        let length = Int(announced)
        guard length <= file.byteCount - 8 else {
            throw .truncatedFile(file: name, bytes: file.byteCount, needed: 8 + length)
        }
        return (unsafe Data(file.buffer[8..<8 + length]), 8 + length)
    }

    /// Checks one entry against its own numbers and the file's length.
    private static func check(
        _ entry: RawHeader.Entry, of tensor: String, in name: String, file: MappedFile, dataOffset: Int
    ) throws(EngineError) -> TensorEntry {
        guard let width = elementBytes[entry.dtype] else {
            throw .unsupportedElementType(tensor: tensor, found: entry.dtype)
        }
        guard entry.shape.count <= CheckpointLimits.tensorRank, entry.shape.allSatisfy({ $0 >= 0 }) else {
            throw .malformedHeader(file: name, reason: "\(tensor) has an invalid shape")
        }
        var byteCount = width
        for extent in entry.shape {
            let (product, overflow) = byteCount.multipliedReportingOverflow(by: extent)
            guard !overflow else { throw .shapeOverflow(file: name, tensor: tensor) }
            byteCount = product
        }
        guard entry.offsets.count == 2, entry.offsets[0] >= 0, entry.offsets[1] >= entry.offsets[0] else {
            throw .malformedHeader(file: name, reason: "\(tensor) has invalid offsets")
        }
        guard entry.offsets[1] - entry.offsets[0] == byteCount else {
            throw .malformedHeader(file: name, reason: "the offsets of \(tensor) do not fit its shape")
        }
        guard entry.offsets[1] <= file.byteCount - dataOffset else {
            let (needed, overflow) = entry.offsets[1].addingReportingOverflow(dataOffset)
            throw .truncatedFile(file: name, bytes: file.byteCount, needed: overflow ? .max : needed)
        }
        return TensorEntry(
            dtype: entry.dtype, shape: entry.shape, offset: dataOffset + entry.offsets[0], byteCount: byteCount)
    }

    /// Refuses overlaps and gaps. The format forbids gaps too; here, a gap is the sign of a key that occurs twice.
    private static func checkCoverage(
        _ tensors: [String: TensorEntry], name: String, from dataOffset: Int, to end: Int
    ) throws(EngineError) {
        let ordered = tensors.filter { $0.value.byteCount > 0 }
            .sorted { ($0.value.offset, $0.key) < ($1.value.offset, $1.key) }
        var covered = dataOffset
        var previous = ""
        for (tensor, entry) in ordered {
            guard entry.offset >= covered else {
                throw .overlappingTensors(file: name, first: previous, second: tensor)
            }
            guard entry.offset == covered else { throw .unclaimedBytes(file: name, offset: covered - dataOffset) }
            covered = entry.offset + entry.byteCount
            previous = tensor
        }
        guard covered == end else { throw .unclaimedBytes(file: name, offset: covered - dataOffset) }
    }
}

/// The header's JSON as it is in the file.
private struct RawHeader: Decodable {
    struct Entry: Decodable {
        let dtype: String
        let shape: [Int]
        let offsets: [Int]

        enum CodingKeys: String, CodingKey {
            case dtype, shape
            case offsets = "data_offsets"
        }
    }

    let tensors: [String: Entry]

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: AnyKey.self)
        var tensors: [String: Entry] = [:]
        for key in container.allKeys where key.stringValue != "__metadata__" {
            tensors[key.stringValue] = try container.decode(Entry.self, forKey: key)
        }
        self.tensors = tensors
    }
}

/// Any string as a key of a JSON object.
struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) { self.stringValue = stringValue }
    init?(intValue: Int) { nil }
}
