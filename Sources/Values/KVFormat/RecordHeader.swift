// The first bytes of a record: what it holds, under which key, and how it is cut into frames.

/// The header of a record. All integers are little-endian.
///
/// | offset | bytes | field |
/// | ---: | ---: | --- |
/// | 0 | 4 | magic, `PFXR` |
/// | 4 | 2 | record version, 2 |
/// | 6 | 2 | frame count, 0 to 4,096 |
/// | 8 | 16 | sum of bytes 24 up to the end of the frame table: XXH3-64 seeded by the key, part 0, then 8 zeros |
/// | 24 | 32 | key: the page's prefix hash, the side state's key, or the block's hash |
/// | 56 | 4 | tokens of the page; 0 for a side state or block |
/// | 60 | 1 | kind: 0 page, 1 side state, 2 block |
/// | 61 | 1 | flags: bit 0 is set for a tail, bit 1 for a sealed record; the others are 0 |
/// | 62 | 1 | the block's `KVElement`; 0 for a page or side state |
/// | 63 | 1 | 0 |
/// | 64 | 8 | raw bytes of all frames |
/// | 72 | 8 | encoded bytes of all frames |
/// | 80 | 16 | salt of a sealed record, whose sums are tags of AES-256-GCM; else 0 |
/// | 96 | | the frame table: one `FrameEntry` per frame; then the frames, in the same order, without gaps |
///
/// Reading checks nothing. `PageCodec.RecordView` checks the header; trust only what it returns.
package struct RecordHeader: Hashable, Sendable {
    /// What a record holds.
    package enum Kind: UInt8, Sendable {
        /// The keys and values of one page.
        case page = 0
        /// A named blob tied to one prefix.
        case sideState = 1
        /// Bytes under a key that an engine chooses.
        case block = 2
    }

    /// Bytes of the header without the frame table.
    package static let byteCount = 96
    /// `PFXR`, read as a little-endian number.
    package static let magic: UInt32 = 0x5258_4650
    /// The version that this build writes, and the only one it reads.
    package static let version: UInt16 = 2
    /// Frames of one record: at most one per plane, or one per MiB of a side state or block.
    package static let maximumFrames = Limits.planes.upperBound
    /// The flag of a tail.
    package static let tailFlag: UInt8 = 1
    /// The flag of a sealed record, which only its owner can read.
    package static let sealedFlag: UInt8 = 2
    /// Offset of the first byte that the sum covers.
    private static let checkedFrom = 24

    /// The key that the record is stored under.
    package var key: PrefixHash
    /// Number of frames that follow.
    package var frameCount: Int
    /// Tokens of the page; 0 for a side state or block.
    package var tokens: Int
    /// A `Kind`, or a number that this build does not know.
    package var kind: UInt8
    /// Bit set; see `tailFlag` and `sealedFlag`.
    package var flags: UInt8
    /// The block's `KVElement`, or a number that this build does not know; 0 for a page or side state.
    package var element: UInt8
    /// Bytes of the page, side state or block.
    package var rawBytes: UInt64
    /// Encoded bytes of all frames.
    package var encodedBytes: UInt64
    /// The salt of a sealed record.
    package var salt = SealBytes.none

    /// The key that bytes name which begin like a record; nil for other bytes. Checks nothing else.
    package static func storedKey(_ bytes: RawSpan) -> PrefixHash? {
        guard bytes.byteCount >= byteCount, bytes.little(0, as: UInt32.self) == magic else { return nil }
        return PrefixHash(bytes, at: checkedFrom)
    }

    /// A header of a sound record.
    package init(
        key: PrefixHash, frameCount: Int, tokens: Int, kind: Kind, flags: UInt8, element: KVElement, rawBytes: UInt64,
        encodedBytes: UInt64
    ) {
        self.key = key
        self.frameCount = frameCount
        self.tokens = tokens
        self.kind = kind.rawValue
        self.flags = flags
        self.element = element.rawValue
        self.rawBytes = rawBytes
        self.encodedBytes = encodedBytes
    }

    /// Reads the fields from the first 96 bytes of `bytes`.
    package init(_ bytes: RawSpan) {
        key = PrefixHash(bytes.extracting(24..<56))
        frameCount = Int(bytes.little(6, as: UInt16.self))
        tokens = Int(bytes.little(56, as: UInt32.self))
        kind = bytes.little(60, as: UInt8.self)
        flags = bytes.little(61, as: UInt8.self)
        element = bytes.little(62, as: UInt8.self)
        rawBytes = bytes.little(64, as: UInt64.self)
        encodedBytes = bytes.little(72, as: UInt64.self)
        salt = SealBytes(bytes, at: 80)
    }

    /// Whether the fields that only sealed records use are 0, as they must be in all other records.
    package static func hasPlainFields(_ bytes: RawSpan) -> Bool {
        bytes.little(16, as: UInt64.self) == 0 && bytes.little(63, as: UInt8.self) == 0
            && bytes.little(80, as: UInt64.self) == 0 && bytes.little(88, as: UInt64.self) == 0
    }

    /// Writes the 96 bytes, with the sum still 0; `setChecksum` sets it once the frame table is written.
    package func write(to bytes: inout MutableRawSpan) {
        bytes.setLittle(Self.magic, at: 0)
        bytes.setLittle(Self.version, at: 4)
        bytes.setLittle(UInt16(frameCount), at: 6)
        bytes.setLittle(UInt64(0), at: 8)
        bytes.setLittle(UInt64(0), at: 16)
        key.withBytes { key in
            for index in 0..<PrefixHash.byteCount { bytes.setLittle(key.little(index, as: UInt8.self), at: 24 + index) }
        }
        bytes.setLittle(UInt32(tokens), at: 56)
        bytes.setLittle(kind, at: 60)
        bytes.setLittle(flags, at: 61)
        bytes.setLittle(element, at: 62)
        bytes.setLittle(UInt8(0), at: 63)
        bytes.setLittle(rawBytes, at: 64)
        bytes.setLittle(encodedBytes, at: 72)
        bytes.setLittle(salt.low, at: 80)
        bytes.setLittle(salt.high, at: 88)
    }

    /// The sum over header and frame table that `bytes` should have.
    ///
    /// - Parameter bytes: at least the header and `frameCount` entries.
    package static func checksum(_ bytes: RawSpan, key: PrefixHash, frameCount: Int) -> UInt64 {
        Checksum.of(checked(bytes, frameCount: frameCount), key: key, part: 0)
    }

    /// The bytes that the sum covers, or the tag of a sealed record.
    ///
    /// - Parameter bytes: at least the header and `frameCount` entries.
    @_lifetime(copy bytes)
    package static func checked(_ bytes: RawSpan, frameCount: Int) -> RawSpan {
        bytes.extracting(checkedFrom..<byteCount + frameCount * FrameEntry.byteCount)
    }

    /// Writes the tag over header and frame table, both of which must be complete, in the place of the sum.
    package static func setTag(_ bytes: inout MutableRawSpan, _ key: ContentKey, frameCount: Int) {
        let tag = key.tag(of: checked(bytes.bytes, frameCount: frameCount), number: 0)
        bytes.setLittle(tag.low, at: 8)
        bytes.setLittle(tag.high, at: 16)
    }

    /// Writes the sum over header and frame table, both of which must be complete.
    package static func setChecksum(_ bytes: inout MutableRawSpan, key: PrefixHash, frameCount: Int) {
        let sum = checksum(bytes.bytes, key: key, frameCount: frameCount)
        bytes.setLittle(sum, at: 8)
    }
}

/// One entry of a record's frame table.
///
/// | offset | bytes | field |
/// | ---: | ---: | --- |
/// | 0 | 1 | codec: 0 raw, 1 zstd, 2 kbit, 3 zstd-plain |
/// | 1 | 1 | the `KVElement` of all planes in the frame, or of the block; 0 for a side state |
/// | 2 | 2 | planes in the frame; 1 for a side state or block |
/// | 4 | 4 | first plane; the frame's index for a side state or block |
/// | 8 | 4 | raw bytes |
/// | 12 | 4 | encoded bytes |
/// | 16 | 16 | sum of the encoded bytes: XXH3-64 seeded by the key, part = frame index + 1, then 8 zeros |
package struct FrameEntry: Hashable, Sendable {
    /// Bytes of an entry.
    package static let byteCount = 32

    /// A codec's number, known or not.
    package var codec: UInt8
    /// An element's number, known or not.
    package var element: UInt8
    /// Planes in the frame.
    package var planeCount: Int
    /// The first plane in the frame.
    package var firstPlane: Int
    /// Bytes before encoding.
    package var rawBytes: Int
    /// Bytes after encoding.
    package var encodedBytes: Int
    /// The checksum of the encoded bytes.
    package var checksum: UInt64
    /// The 8 bytes after the checksum: 0 in a record that is not sealed.
    package var sealing: UInt64 = 0
    /// Checksum and the 8 bytes after it, which are the tag of a frame in a sealed record.
    package var tag: SealBytes {
        get { SealBytes(low: checksum, high: sealing) }
        set { (checksum, sealing) = (newValue.low, newValue.high) }
    }

    /// An entry; every number must fit its field.
    package init(
        codec: UInt8, element: KVElement, planeCount: Int, firstPlane: Int, rawBytes: Int, encodedBytes: Int,
        checksum: UInt64
    ) {
        self.codec = codec
        self.element = element.rawValue
        self.planeCount = planeCount
        self.firstPlane = firstPlane
        self.rawBytes = rawBytes
        self.encodedBytes = encodedBytes
        self.checksum = checksum
    }

    /// Where entry `index` lies in a record.
    package static func offset(_ index: Int) -> Int { RecordHeader.byteCount + index * byteCount }

    /// Reads entry `index` of the record `bytes`, which must hold it.
    package init(_ bytes: RawSpan, index: Int) {
        let start = Self.offset(index)
        codec = bytes.little(start, as: UInt8.self)
        element = bytes.little(start + 1, as: UInt8.self)
        planeCount = Int(bytes.little(start + 2, as: UInt16.self))
        firstPlane = Int(bytes.little(start + 4, as: UInt32.self))
        rawBytes = Int(bytes.little(start + 8, as: UInt32.self))
        encodedBytes = Int(bytes.little(start + 12, as: UInt32.self))
        checksum = bytes.little(start + 16, as: UInt64.self)
        sealing = bytes.little(start + 24, as: UInt64.self)
    }

    /// Writes entry `index` of the record `bytes`.
    package func write(to bytes: inout MutableRawSpan, index: Int) {
        let start = Self.offset(index)
        bytes.setLittle(codec, at: start)
        bytes.setLittle(element, at: start + 1)
        bytes.setLittle(UInt16(planeCount), at: start + 2)
        bytes.setLittle(UInt32(firstPlane), at: start + 4)
        bytes.setLittle(UInt32(rawBytes), at: start + 8)
        bytes.setLittle(UInt32(encodedBytes), at: start + 12)
        bytes.setLittle(checksum, at: start + 16)
        bytes.setLittle(sealing, at: start + 24)
    }
}

extension RawSpan {
    /// The little-endian number at `offset`; traps when it does not lie inside.
    package func little<T: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, as type: T.Type) -> T {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size, "a field lies outside its record")
        return unsafe T(littleEndian: unsafeLoadUnaligned(fromByteOffset: offset, as: T.self))
    }
}

extension MutableRawSpan {
    /// Writes `value` little-endian at `offset`; traps when it does not lie inside.
    mutating func setLittle<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size, "a field lies outside its record")
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}
