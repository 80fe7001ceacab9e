// The first bytes of a record: what it holds, under which key, and how it is cut into frames.

/// The header of a record. All integers are little-endian.
///
/// | offset | bytes | field |
/// | ---: | ---: | --- |
/// | 0 | 4 | magic, `PFXR` |
/// | 4 | 2 | record version, 1 |
/// | 6 | 2 | frame count, 0 to 1,024 |
/// | 8 | 8 | checksum of bytes 16 up to the end of the frame table: XXH3-64 seeded by the key, part 0 |
/// | 16 | 32 | key: the page's prefix hash, or the side state's key |
/// | 48 | 4 | tokens of the page; 0 for a side state |
/// | 52 | 1 | kind: 0 page, 1 side state |
/// | 53 | 1 | flags: bit 0 is set for a tail; the others are 0 |
/// | 54 | 1 | element, a `KVElement` |
/// | 55 | 1 | 0 |
/// | 56 | 8 | raw bytes of all frames |
/// | 64 | 8 | stored bytes of all frames |
/// | 72 | | the frame table: one `FrameEntry` a frame; then the frames, in the same order, without gaps |
///
/// Reading checks nothing: `PageCodec.RecordView` does, and it alone may be trusted.
package struct RecordHeader: Hashable, Sendable {
    /// What a record holds.
    package enum Kind: UInt8, Sendable {
        /// The keys and values of one page.
        case page = 0
        /// A named blob tied to one prefix.
        case sideState = 1
    }

    /// Bytes of the header without the frame table.
    package static let byteCount = 72
    /// `PFXR`, read as a little-endian number.
    package static let magic: UInt32 = 0x5258_4650
    /// The version that this build writes, and the only one it reads.
    package static let version: UInt16 = 1
    /// Frames of one record: one a layer at most, or one a MiB of a side state.
    package static let maximumFrames = 1024
    /// The flag of a tail.
    package static let tailFlag: UInt8 = 1
    /// Where the bytes begin that the checksum covers.
    package static let checkedFrom = 16

    /// What the record is stored under.
    package var key: PrefixHash
    /// Frames that follow.
    package var frameCount: Int
    /// Tokens of the page; 0 for a side state.
    package var tokens: Int
    /// A `Kind`, or a number that this build does not know.
    package var kind: UInt8
    /// Bit set; see `tailFlag`.
    package var flags: UInt8
    /// A `KVElement`, or a number that this build does not know.
    package var element: UInt8
    /// Always 0.
    package var reserved: UInt8 = 0
    /// Bytes of the page or side state.
    package var rawBytes: UInt64
    /// Bytes of all frames as stored.
    package var storedBytes: UInt64

    /// A header of a sound record.
    package init(
        key: PrefixHash, frameCount: Int, tokens: Int, kind: Kind, flags: UInt8, element: KVElement, rawBytes: UInt64,
        storedBytes: UInt64
    ) {
        self.key = key
        self.frameCount = frameCount
        self.tokens = tokens
        self.kind = kind.rawValue
        self.flags = flags
        self.element = element.rawValue
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
    }

    /// Reads the fields from the first 72 bytes of `bytes`.
    package init(_ bytes: RawSpan) {
        key = PrefixHash(bytes.extracting(16..<48))
        frameCount = Int(bytes.little(6, as: UInt16.self))
        tokens = Int(bytes.little(48, as: UInt32.self))
        kind = bytes.little(52, as: UInt8.self)
        flags = bytes.little(53, as: UInt8.self)
        element = bytes.little(54, as: UInt8.self)
        reserved = bytes.little(55, as: UInt8.self)
        rawBytes = bytes.little(56, as: UInt64.self)
        storedBytes = bytes.little(64, as: UInt64.self)
    }

    /// Writes the 72 bytes, with the checksum still 0; `seal` sets it once the frame table is written.
    package func write(to bytes: inout MutableRawSpan) {
        bytes.setLittle(Self.magic, at: 0)
        bytes.setLittle(Self.version, at: 4)
        bytes.setLittle(UInt16(frameCount), at: 6)
        bytes.setLittle(UInt64(0), at: 8)
        key.withBytes { key in
            for index in 0..<PrefixHash.byteCount { bytes.setLittle(key.little(index, as: UInt8.self), at: 16 + index) }
        }
        bytes.setLittle(UInt32(tokens), at: 48)
        bytes.setLittle(kind, at: 52)
        bytes.setLittle(flags, at: 53)
        bytes.setLittle(element, at: 54)
        bytes.setLittle(reserved, at: 55)
        bytes.setLittle(rawBytes, at: 56)
        bytes.setLittle(storedBytes, at: 64)
    }

    /// The checksum over header and frame table that `bytes` should carry.
    ///
    /// - Parameter bytes: at least the header and `frameCount` entries.
    package static func checksum(_ bytes: RawSpan, key: PrefixHash, frameCount: Int) -> UInt64 {
        let end = byteCount + frameCount * FrameEntry.byteCount
        return Checksum.of(bytes.extracting(checkedFrom..<end), key: key, part: 0)
    }

    /// Writes the checksum over header and frame table, both of which must be complete.
    package static func seal(_ bytes: inout MutableRawSpan, key: PrefixHash, frameCount: Int) {
        let sum = checksum(bytes.bytes, key: key, frameCount: frameCount)
        bytes.setLittle(sum, at: 8)
    }
}

/// One entry of a record's frame table.
///
/// | offset | bytes | field |
/// | ---: | ---: | --- |
/// | 0 | 1 | codec: 0 raw, 1 zstd, 2 kbit, 3 zstd-plain |
/// | 1 | 1 | bytes of one element |
/// | 2 | 2 | planes in the frame; 1 for a side state |
/// | 4 | 4 | first plane; the frame's index for a side state |
/// | 8 | 4 | raw bytes |
/// | 12 | 4 | stored bytes |
/// | 16 | 8 | checksum of the stored bytes: XXH3-64 seeded by the key, part = frame index + 1 |
package struct FrameEntry: Hashable, Sendable {
    /// Bytes of an entry.
    package static let byteCount = 24

    /// A codec's number, known or not.
    package var codec: UInt8
    /// Bytes of one element.
    package var elementWidth: UInt8
    /// Planes in the frame.
    package var planeCount: Int
    /// The first of them.
    package var firstPlane: Int
    /// Bytes before encoding.
    package var rawBytes: Int
    /// Bytes after encoding.
    package var storedBytes: Int
    /// The checksum of the stored bytes.
    package var checksum: UInt64

    /// An entry; every number must fit its field.
    package init(
        codec: UInt8, elementWidth: UInt8, planeCount: Int, firstPlane: Int, rawBytes: Int, storedBytes: Int,
        checksum: UInt64
    ) {
        self.codec = codec
        self.elementWidth = elementWidth
        self.planeCount = planeCount
        self.firstPlane = firstPlane
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
        self.checksum = checksum
    }

    /// Where entry `index` lies in a record.
    package static func offset(_ index: Int) -> Int { RecordHeader.byteCount + index * byteCount }

    /// Reads entry `index` of the record `bytes`, which must hold it.
    package init(_ bytes: RawSpan, index: Int) {
        let start = Self.offset(index)
        codec = bytes.little(start, as: UInt8.self)
        elementWidth = bytes.little(start + 1, as: UInt8.self)
        planeCount = Int(bytes.little(start + 2, as: UInt16.self))
        firstPlane = Int(bytes.little(start + 4, as: UInt32.self))
        rawBytes = Int(bytes.little(start + 8, as: UInt32.self))
        storedBytes = Int(bytes.little(start + 12, as: UInt32.self))
        checksum = bytes.little(start + 16, as: UInt64.self)
    }

    /// Writes entry `index` of the record `bytes`.
    package func write(to bytes: inout MutableRawSpan, index: Int) {
        let start = Self.offset(index)
        bytes.setLittle(codec, at: start)
        bytes.setLittle(elementWidth, at: start + 1)
        bytes.setLittle(UInt16(planeCount), at: start + 2)
        bytes.setLittle(UInt32(firstPlane), at: start + 4)
        bytes.setLittle(UInt32(rawBytes), at: start + 8)
        bytes.setLittle(UInt32(storedBytes), at: start + 12)
        bytes.setLittle(checksum, at: start + 16)
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
    package mutating func setLittle<T: FixedWidthInteger & BitwiseCopyable>(_ value: T, at offset: Int) {
        precondition(offset >= 0 && offset <= byteCount - MemoryLayout<T>.size, "a field lies outside its record")
        storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
}
