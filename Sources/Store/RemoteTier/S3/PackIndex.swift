// The index of a pack: which pages one object has, and where.

internal import KVFormat

/// What a pack begins with, and all that an index object holds. docs/format.md has the bytes.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | the 7 bytes `PFXpack`, and the version as a digit |
/// | 8..<40 | space root |
/// | 40..<48 | pages: 1 to 256 |
/// | 48.. | for each page its prefix hash and, in 8 bytes, the size of its value |
/// | last 8 | XXH3-64 of the bytes before, seeded by the space root |
///
/// The values follow in the same order, without gaps. The name of a pack is the SHA-256 of its index, so that an index
/// leads to one pack alone, and two hosts that pack the same pages into values of the same sizes write one object.
struct PackIndex: Sendable, Equatable {
    /// A page in a pack.
    struct Entry: Sendable, Equatable {
        let hash: PrefixHash
        /// Bytes of its value.
        let bytes: Int
    }

    let root: PrefixHash
    let entries: [Entry]

    /// Pages of a pack at most.
    static let pages = 256
    /// Bytes of the largest index.
    static let largest = size(pages: pages)
    /// Limit on the bytes of one value; a larger one is never put.
    private static let largestValue: UInt64 = 1 << 30

    private static let magic = Array("PFXpack1".utf8)
    private static let fieldBytes = 48
    private static let entryBytes = PrefixHash.byteCount + 8

    private static func size(pages: Int) -> Int { fieldBytes + pages * entryBytes + 8 }

    /// Bytes of the index, behind which the first value begins.
    var size: Int { Self.size(pages: entries.count) }

    /// An index that is to be written, of 1 to 256 pages.
    init(root: PrefixHash, entries: [Entry]) {
        precondition((1...Self.pages).contains(entries.count), "a pack has 1 to 256 pages")
        self.root = root
        self.entries = entries
    }

    /// Its bytes.
    var encoded: [UInt8] {
        var bytes = Self.magic + root.bytes
        bytes.reserveCapacity(size)
        func append(_ value: some FixedWidthInteger) {
            for shift in stride(from: 0, to: value.bitWidth, by: 8) {
                bytes.append(UInt8(truncatingIfNeeded: value >> shift))
            }
        }
        append(UInt64(entries.count))
        for entry in entries {
            bytes += entry.hash.bytes
            append(UInt64(entry.bytes))
        }
        append(Checksum.of(unsafe bytes.span.bytes, key: root, part: 0))
        return bytes
    }

    /// The name of the pack that begins with it.
    var name: Digest { .sha256(encoded) }

    /// Reads an index; nil for anything else. What it says of the pages is a claim: the values prove themselves.
    ///
    /// - Parameter bytes: the index, perhaps with more behind it.
    init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= Self.size(pages: 1) else { return nil }
        for (place, byte) in Self.magic.enumerated() where Self.load(bytes, at: place, as: UInt8.self) != byte {
            return nil
        }
        let count = Self.load(bytes, at: 40, as: UInt64.self)
        guard count >= 1, count <= Self.pages, bytes.byteCount >= Self.size(pages: Int(count)) else { return nil }
        let size = Self.size(pages: Int(count))
        let root = PrefixHash(bytes, at: 8)
        let sum = Checksum.of(bytes.extracting(0..<size - 8), key: root, part: 0)
        guard sum == Self.load(bytes, at: size - 8, as: UInt64.self) else { return nil }
        var entries: [Entry] = []
        entries.reserveCapacity(Int(count))
        for place in 0..<Int(count) {
            let start = Self.fieldBytes + place * Self.entryBytes
            let size = Self.load(bytes, at: start + PrefixHash.byteCount, as: UInt64.self)
            guard size >= 1, size <= Self.largestValue else { return nil }
            entries.append(Entry(hash: PrefixHash(bytes, at: start), bytes: Int(size)))
        }
        self.root = root
        self.entries = entries
    }

    private static func load<Number: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: RawSpan, at offset: Int, as type: Number.Type
    ) -> Number {
        // The caller has checked that it lies inside.
        Number(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
}
