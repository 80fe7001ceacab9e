// The wire form of a page: what another host must know of it, and its record. One value per page.

internal import KVFormat
internal import PageCodec
internal import Records

/// The header of a page's value, checked or to be written. docs/format.md has the bytes.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | the 7 bytes `PFXwire`, and the version as a digit |
/// | 8..<12 | bytes of the header: a multiple of 64 |
/// | 12..<16 | flags: 1 means sealed |
/// | 16..<48 | prefix hash |
/// | 48..<80 | parent: the prefix hash before, or the space root |
/// | 80..<112 | space root |
/// | 112..<116 | position of the first token |
/// | 116..<120 | tokens |
/// | 120..<128 | bytes of the record, which follows the header |
/// | 128.. | token ids, 4 bytes each; in a sealed space a salt of 16 bytes, the token ids encrypted, and a tag of 16 |
/// | last 8 | XXH3-64 of the bytes before, seeded by the prefix hash; zeros fill up to it |
struct WirePage: Sendable {
    /// The page.
    let name: PageName
    /// Where the record begins.
    let recordOffset: Int
    /// Bytes of the record.
    let recordBytes: Int

    private static let magic = Array("PFXwire".utf8)
    private static let version = UInt8(ascii: "1")
    private static let fieldBytes = 128
    private static let sealedFlag: UInt32 = 1
    /// Records begin at a multiple of this, for the decoders' sake.
    private static let alignment = 64
    /// Limit on the bytes of a header: the largest page, sealed.
    static let largestHeader = headerBytes(tokens: Limits.pageSize.upperBound, isSealed: true)

    /// Bytes of the header of a page.
    static func headerBytes(tokens: Int, isSealed: Bool) -> Int {
        let bytes = fieldBytes + 4 * tokens + (isSealed ? 2 * SealBytes.count : 0) + 8
        return (bytes + alignment - 1) / alignment * alignment
    }

    /// The bytes that go before the record of a page.
    ///
    /// - Parameters:
    ///   - name: the page.
    ///   - recordBytes: bytes of its record.
    ///   - salt: never the same twice; tests that compare bytes give their own.
    static func header(_ name: PageName, recordBytes: Int, salt: SealBytes = .random()) -> [UInt8] {
        let size = headerBytes(tokens: name.tokens.count, isSealed: name.seal != nil)
        var bytes = magic + [version]
        bytes.reserveCapacity(size)
        append(UInt32(size), to: &bytes)
        append(name.seal == nil ? 0 : sealedFlag, to: &bytes)
        for hash in [name.hash, name.parent, name.root] { bytes += hash.bytes }
        append(UInt32(name.firstToken), to: &bytes)
        append(UInt32(name.tokens.count), to: &bytes)
        append(UInt64(recordBytes), to: &bytes)
        var content: [UInt8] = []
        content.reserveCapacity(4 * name.tokens.count)
        for token in name.tokens { append(token, to: &content) }
        if let seal = name.seal {
            let known = bytes + salt.bytes
            let tag = unsafe content.withUnsafeMutableBytes { content in
                unsafe seal.nodeKey(name.hash, salt: salt).encrypt(content, number: 0, known: known.span.bytes)
            }
            bytes += salt.bytes + content + tag.bytes
        } else {
            bytes += content
        }
        bytes += [UInt8](repeating: 0, count: size - 8 - bytes.count)
        append(Checksum.of(unsafe bytes.span.bytes, key: name.hash, part: 0), to: &bytes)
        return bytes
    }

    private static func append(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// Reads the header of the value that was found under a page's key, and proves it: the token ids and the parent
    /// make the hash.
    ///
    /// - Parameters:
    ///   - bytes: the value, or its beginning.
    ///   - hash: the prefix hash that it was found under.
    ///   - root: the root of the space that it must belong to; nil if that is not known.
    ///   - seal: that of a sealed space.
    /// - Throws: what is wrong with it; every such value is a miss.
    init(_ bytes: RawSpan, key hash: PrefixHash, root: PrefixHash?, seal: SpaceSeal?) throws(RecordDamage) {
        let size = try Self.checkedSize(bytes, key: hash)
        let space = PrefixHash(bytes, at: 80)
        guard PrefixHash(bytes, at: 16) == hash, root == nil || root == space else { throw .wrongKey }
        let flags = Self.integer(bytes, at: 12, as: UInt32.self)
        guard flags & ~Self.sealedFlag == 0 else { throw .badHeader }
        guard (flags & Self.sealedFlag != 0) == (seal != nil) else { throw .sealed }
        let first = Int(Self.integer(bytes, at: 112, as: UInt32.self))
        let count = Int(Self.integer(bytes, at: 116, as: UInt32.self))
        let recordBytes = Self.integer(bytes, at: 120, as: UInt64.self)
        guard Limits.pageSize.contains(count), first + count <= Limits.tokens,
            size == Self.headerBytes(tokens: count, isSealed: seal != nil), recordBytes <= 2 * UInt64(Limits.pageBytes)
        else { throw .wrongShape }
        guard let tokens = Self.tokens(bytes, count, of: hash, seal) else { throw .badHeader }
        name = PageName(
            root: space, parent: PrefixHash(bytes, at: 48), hash: hash, firstToken: first, tokens: tokens[...],
            seal: seal)
        guard name.isSound else { throw .wrongKey }
        recordOffset = size
        self.recordBytes = Int(recordBytes)
    }

    /// Bytes of the header, after its form and its checksum were found right.
    private static func checkedSize(_ bytes: RawSpan, key hash: PrefixHash) throws(RecordDamage) -> Int {
        guard bytes.byteCount >= fieldBytes else { throw .truncated }
        for (index, byte) in magic.enumerated() where integer(bytes, at: index, as: UInt8.self) != byte {
            throw .notARecord
        }
        let found = integer(bytes, at: magic.count, as: UInt8.self)
        guard found == version else { throw .unknownVersion(UInt16(found)) }
        let size = Int(integer(bytes, at: 8, as: UInt32.self))
        guard size > fieldBytes, size <= largestHeader, size % alignment == 0 else { throw .badHeader }
        guard bytes.byteCount >= size else { throw .truncated }
        let sum = integer(bytes, at: size - 8, as: UInt64.self)
        guard sum == Checksum.of(bytes.extracting(0..<size - 8), key: hash, part: 0) else { throw .badHeader }
        return size
    }

    /// What a header says of the space that its page belongs to.
    enum Claim {
        /// The header is as it was written.
        case sound(space: PrefixHash, isSealed: Bool)
        /// It is not, or the beginning of one; nil when it does not come to the space.
        case unsound(space: PrefixHash?)
    }

    /// What the header of a value says, which was found under the key of a page.
    static func claim(_ bytes: RawSpan, key hash: PrefixHash) -> Claim {
        guard bytes.byteCount >= fieldBytes else { return .unsound(space: nil) }
        let space = PrefixHash(bytes, at: 80)
        do throws(RecordDamage) { _ = try checkedSize(bytes, key: hash) } catch { return .unsound(space: space) }
        return .sound(space: space, isSealed: integer(bytes, at: 12, as: UInt32.self) & sealedFlag != 0)
    }

    private static func tokens(_ bytes: RawSpan, _ count: Int, of hash: PrefixHash, _ seal: SpaceSeal?) -> [TokenID]? {
        guard let seal else {
            return (0..<count).map { integer(bytes, at: fieldBytes + 4 * $0, as: TokenID.self) }
        }
        let start = fieldBytes + SealBytes.count
        var plain = [TokenID](repeating: 0, count: count)
        let isSound = unsafe plain.withUnsafeMutableBytes { plain in
            unsafe seal.nodeKey(hash, salt: SealBytes(bytes, at: fieldBytes)).decrypt(
                bytes.extracting(start..<start + 4 * count), number: 0, known: bytes.extracting(0..<start),
                tag: SealBytes(bytes, at: start + 4 * count), to: plain.baseAddress)
        }
        // Token ids lie in memory as they are written: little-endian.
        return isSound ? plain : nil
    }

    private static func integer<Number: FixedWidthInteger & BitwiseCopyable>(
        _ bytes: RawSpan, at offset: Int, as type: Number.Type
    ) -> Number {
        // The caller has checked that it lies inside.
        Number(littleEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
    }
}

extension WirePage {
    /// The page in a value, with its record, both checked but for what the frames hold. Decoding checks that, and so
    /// does `RecordBytes.verifyPayload()`.
    ///
    /// - Parameters:
    ///   - value: what was found under the page's key; kept as long as the record.
    ///   - hash: the prefix hash that it was found under.
    ///   - root: the root of the space that it must belong to; nil if that is not known.
    ///   - layout: the space's layout.
    ///   - tokens: the tokens that the page must have; nil when that is not known.
    ///   - seal: that of a sealed space.
    /// - Throws: what is wrong with it; every such value is a miss.
    static func record(
        in value: EncodedRecord, key hash: PrefixHash, root: PrefixHash?, layout: KVLayout, tokens: Int?,
        seal: SpaceSeal?
    ) throws(RecordDamage) -> (name: PageName, bytes: RecordBytes) {
        let page = try WirePage(value.bytes, key: hash, root: root, seal: seal)
        guard tokens == nil || tokens == page.name.tokens.count, page.name.tokens.count <= layout.pageSize,
            page.name.firstToken % layout.pageSize == 0
        else { throw .wrongShape }
        guard value.byteCount == page.recordOffset + page.recordBytes else { throw .truncated }
        let record = try RecordBytes(
            keeping: value, from: page.recordOffset, key: hash, layout: layout, tokens: page.name.tokens.count,
            seal: seal)
        guard record.encodedBytes == page.recordBytes else { throw .wrongShape }
        return (page.name, record)
    }
}
