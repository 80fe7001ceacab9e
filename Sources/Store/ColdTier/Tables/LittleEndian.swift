// Fixed little-endian records: one way to write integers and hashes, and one way to read them.

internal import KVFormat

/// Collects the bytes of a record or key.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    /// An empty record with room for `capacity` bytes.
    init(capacity: Int) { bytes.reserveCapacity(capacity) }

    /// Appends an integer, its lowest byte first.
    mutating func append(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Appends an integer, its highest byte first, so that keys sort as numbers do.
    mutating func appendBigEndian(_ value: some FixedWidthInteger) { append(value.byteSwapped) }

    /// Appends the 32 bytes of a digest.
    mutating func append(_ hash: PrefixHash) { append(contentsOf: hash.bytes) }

    /// Appends bytes as they are.
    mutating func append(contentsOf other: [UInt8]) { bytes.append(contentsOf: other) }

    /// Appends the checksum of everything before it, stored under `key`.
    mutating func appendChecksum(key: PrefixHash) {
        append(unsafe Checksum.of(bytes.span.bytes, key: key, part: 0))
    }
}

extension RawSpan {
    /// The little-endian integer at `offset`; the caller has checked that it lies inside.
    func integer<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number {
        Number(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }

    /// The big-endian integer at `offset`.
    func bigEndian<Number: FixedWidthInteger & BitwiseCopyable>(at offset: Int, as type: Number.Type) -> Number {
        Number(bigEndian: unsafe unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }

    /// Whether the last 8 bytes are the checksum of all before them, stored under `key`.
    func endsWithChecksum(key: PrefixHash) -> Bool {
        guard byteCount >= 8 else { return false }
        return integer(at: byteCount - 8, as: UInt64.self)
            == Checksum.of(extracting(0..<byteCount - 8), key: key, part: 0)
    }

    /// A copy of the bytes from `offset` on.
    func copy(from offset: Int) -> [UInt8] {
        unsafe extracting(offset..<byteCount).withUnsafeBytes { unsafe [UInt8]($0) }
    }
}
