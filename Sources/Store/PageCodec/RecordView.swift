// Encoded bytes, checked and ready to decode.

package import KVFormat

/// A record whose header and frame table were checked against key, layout and length. Its frames are checked as they
/// are decoded. It points into the bytes that it was made from and allocates nothing.
///
/// Bytes after the record are ignored: the cold tier pads values to its size classes.
package struct RecordView: ~Escapable {
    let bytes: RawSpan
    let header: RecordHeader
    /// The page's layout; nil for a side state or block.
    let layout: KVLayout?
    /// What the frames of a sealed record are encrypted with; nil for any other record.
    let contentKey: ContentKey?

    /// Number of frames in the record.
    package var frameCount: Int { header.frameCount }
    /// Tokens of the page; 0 for a side state or block.
    package var tokens: Int { header.tokens }
    /// Bytes of the page, side state or block.
    package var rawByteCount: Int { Int(header.rawBytes) }
    /// Bytes of the record itself, without the padding behind it.
    package var byteCount: Int { FrameEntry.offset(frameCount) + Int(header.encodedBytes) }

    /// Checks the record of a page.
    ///
    /// - Parameters:
    ///   - bytes: the encoded bytes, perhaps longer than the record.
    ///   - key: the prefix hash they were found under.
    ///   - layout: the layout of the space they belong to.
    ///   - tokens: the number of tokens that the page must have, if that is known.
    ///   - seal: that of a sealed space, all of whose records are sealed; nil for a space in which none is.
    /// - Throws: what is wrong; every such record is a miss.
    /// - Complexity: reads the header and 32 bytes per frame, but not the frames.
    @_lifetime(copy bytes)
    package init(
        _ bytes: RawSpan, key: PrefixHash, layout: KVLayout, tokens: Int? = nil, seal: SpaceSeal? = nil
    ) throws(RecordDamage) {
        (header, contentKey) = try Self.soundHeader(bytes, key, seal)
        guard header.kind == RecordHeader.Kind.page.rawValue, header.element == 0,
            header.tokens >= 1, header.tokens <= layout.pageSize, tokens == nil || tokens == header.tokens,
            layout.isDivisible || header.tokens == layout.pageSize,
            header.flags & ~RecordHeader.sealedFlag == (header.tokens < layout.pageSize ? RecordHeader.tailFlag : 0),
            header.rawBytes == UInt64(layout.pageBytes(tokens: header.tokens)), header.frameCount <= layout.planeCount
        else { throw .wrongShape }
        self.bytes = bytes
        self.layout = layout
        var plane = 0
        for index in 0..<header.frameCount {
            let entry = FrameEntry(bytes, index: index)
            guard entry.firstPlane == plane, entry.planeCount > 0, entry.planeCount <= layout.planeCount - plane,
                let element = layout.element(ofPlanes: plane..<plane + entry.planeCount)
            else { throw .badFrame(index) }
            plane += entry.planeCount
            let region = Self.region(entry, element, layout, header.tokens)
            try Self.check(entry, index, region, element, isSealed: contentKey != nil)
        }
        guard plane == layout.planeCount, plane > 0 else { throw .wrongShape }
        try Self.checkLength(bytes, header)
    }

    /// Checks the record of a side state. The parameters and errors are those of `init(_:key:layout:tokens:)`.
    @_lifetime(copy bytes)
    package init(
        sideState bytes: RawSpan, key: PrefixHash, name: String, seal: SpaceSeal? = nil
    ) throws(RecordDamage) {
        try self.init(
            bytes, key: .sideState(of: key, name: name), .sideState, .opaque, limit: Limits.sideStateBytes, seal)
    }

    /// Checks the record of a block with numbers of type `element`. The other parameters and errors are those of
    /// `init(_:key:layout:tokens:)`.
    @_lifetime(copy bytes)
    package init(
        block bytes: RawSpan, key: PrefixHash, element: KVElement, seal: SpaceSeal? = nil
    ) throws(RecordDamage) {
        try self.init(bytes, key: key, .block, element, limit: Limits.blockBytes, seal)
    }

    @_lifetime(copy bytes)
    private init(
        _ bytes: RawSpan, key: PrefixHash, _ kind: RecordHeader.Kind, _ element: KVElement, limit: Int,
        _ seal: SpaceSeal?
    ) throws(RecordDamage) {
        (header, contentKey) = try Self.soundHeader(bytes, key, seal)
        guard header.kind == kind.rawValue, header.element == element.rawValue, header.tokens == 0,
            header.flags & ~RecordHeader.sealedFlag == 0, header.rawBytes <= UInt64(limit),
            header.rawBytes % UInt64(element.groupBytes) == 0,
            header.frameCount == BlobFrames.count(Int(header.rawBytes))
        else { throw .wrongShape }
        self.bytes = bytes
        layout = nil
        for index in 0..<header.frameCount {
            let entry = FrameEntry(bytes, index: index)
            guard entry.firstPlane == index, entry.planeCount == 1 else { throw .badFrame(index) }
            let size = BlobFrames.bytes(ofFrame: index, Int(header.rawBytes)).count
            let region = BlobFrames.region(size, element)
            try Self.check(entry, index, region, element, isSealed: contentKey != nil)
        }
        try Self.checkLength(bytes, header)
    }

    /// The planes that frame `frame` of a page holds.
    package func planes(ofFrame frame: Int) -> Range<Int> {
        precondition(frame >= 0 && frame < frameCount, "no such frame")
        precondition(layout != nil, "a blob has no planes")
        let entry = FrameEntry(bytes, index: frame)
        return entry.firstPlane..<entry.firstPlane + entry.planeCount
    }

    /// Reads every frame and compares its checksum, but decodes nothing.
    ///
    /// - Throws: `.badChecksum` for the first frame that fails.
    package func verify() throws(RecordDamage) {
        for frame in 0..<frameCount { try check(frame: frame) }
    }

    /// The unchecked encoded bytes of frame `frame`, for a caller that wants them in memory before they are decoded.
    @_lifetime(copy self)
    package func uncheckedBytes(ofFrame frame: Int) -> RawSpan {
        precondition(frame >= 0 && frame < frameCount, "no such frame")
        var start = FrameEntry.offset(frameCount)
        for index in 0..<frame { start += FrameEntry(bytes, index: index).encodedBytes }
        return bytes.extracting(start..<start + FrameEntry(bytes, index: frame).encodedBytes)
    }

    /// Whether the checksum of frame `frame`, or its tag, is right.
    package func isSound(frame: Int) -> Bool {
        do throws(RecordDamage) { try check(frame: frame) } catch { return false }
        return true
    }

    /// Compares the checksum of frame `frame`, or its tag.
    func check(frame: Int) throws(RecordDamage) {
        let entry = FrameEntry(bytes, index: frame)
        let encoded = uncheckedBytes(ofFrame: frame)
        var isSound = false
        if contentKey == nil {
            isSound = Checksum.of(encoded, key: header.key, part: UInt64(frame) + 1) == entry.checksum
        } else {
            var plain = [UInt8](repeating: 0, count: encoded.byteCount)
            isSound = unsafe plain.withUnsafeMutableBytes { unsafe open(frame, to: $0.baseAddress) }
        }
        guard isSound else { throw .badChecksum(frame: frame) }
    }

    /// Decrypts a frame of a sealed record to `plain`, which has room for its encoded bytes.
    ///
    /// - Returns: whether no byte of it was changed. If not, what is in `plain` must not be used.
    @unsafe
    func open(_ frame: Int, to plain: UnsafeMutableRawPointer?) -> Bool {
        guard let contentKey else { preconditionFailure("the record is not sealed") }
        let encoded = uncheckedBytes(ofFrame: frame)
        return unsafe contentKey.decrypt(
            encoded, number: UInt64(frame) + 1, known: encoded.extracting(0..<0),
            tag: FrameEntry(bytes, index: frame).tag, to: plain)
    }

    /// The part of the page, side state or block that frame `frame` holds.
    func region(ofFrame frame: Int) -> FrameRegion {
        let entry = FrameEntry(bytes, index: frame)
        guard let element = KVElement(rawValue: entry.element) else { preconditionFailure("elements were checked") }
        guard let layout else { return BlobFrames.region(entry.rawBytes, element) }
        return Self.region(entry, element, layout, header.tokens)
    }

    private static func region(
        _ entry: FrameEntry, _ element: KVElement, _ layout: KVLayout, _ tokens: Int
    ) -> FrameRegion {
        let planes = entry.firstPlane..<entry.firstPlane + entry.planeCount
        return FrameRegion(layout: layout, planes: planes, tokens: tokens, element: element)
    }

    /// The header, after checking its key and its checksum or tag, and that the frame table lies within `bytes`; and
    /// the key of the frames, for a sealed record.
    private static func soundHeader(
        _ bytes: RawSpan, _ key: PrefixHash, _ seal: SpaceSeal?
    ) throws(RecordDamage) -> (RecordHeader, ContentKey?) {
        guard bytes.byteCount >= RecordHeader.byteCount else { throw .truncated }
        guard bytes.little(0, as: UInt32.self) == RecordHeader.magic else { throw .notARecord }
        let version = bytes.little(4, as: UInt16.self)
        guard version == RecordHeader.version else { throw .unknownVersion(version) }
        let header = RecordHeader(bytes)
        guard header.key == key else { throw .wrongKey }
        let isSealed = header.flags & RecordHeader.sealedFlag != 0
        guard !isSealed || seal != nil else { throw .sealed }
        // A plain record in a sealed space was put there by somebody who has no key.
        guard isSealed || seal == nil else { throw .badHeader }
        guard header.frameCount <= RecordHeader.maximumFrames else { throw .badHeader }
        guard bytes.byteCount >= FrameEntry.offset(header.frameCount) else { throw .truncated }
        if let seal {
            let contentKey = seal.recordKey(key, salt: header.salt)
            let known = RecordHeader.checked(bytes, frameCount: header.frameCount)
            guard contentKey.isTag(SealBytes(bytes, at: 8), of: known, number: 0) else { throw .badHeader }
            return (header, contentKey)
        }
        let sum = RecordHeader.checksum(bytes, key: key, frameCount: header.frameCount)
        guard sum == bytes.little(8, as: UInt64.self), RecordHeader.hasPlainFields(bytes) else { throw .badHeader }
        return (header, nil)
    }

    private static func check(
        _ entry: FrameEntry, _ index: Int, _ region: FrameRegion, _ element: KVElement, isSealed: Bool
    ) throws(RecordDamage) {
        guard let codec = FrameCodec(rawValue: entry.codec) else {
            throw .unknownCodec(frame: index, codec: entry.codec)
        }
        guard entry.rawBytes == region.rawBytes, entry.element == element.rawValue, isSealed || entry.sealing == 0,
            codec == .raw ? entry.encodedBytes == entry.rawBytes : entry.encodedBytes < entry.rawBytes
        else { throw .badFrame(index) }
    }

    /// The frames' sizes must add up to what the header says, and lie within `bytes`.
    private static func checkLength(_ bytes: RawSpan, _ header: RecordHeader) throws(RecordDamage) {
        var sum = 0
        for index in 0..<header.frameCount { sum += FrameEntry(bytes, index: index).encodedBytes }
        guard UInt64(sum) == header.encodedBytes else { throw .wrongShape }
        guard bytes.byteCount - FrameEntry.offset(header.frameCount) >= sum else { throw .truncated }
    }
}
