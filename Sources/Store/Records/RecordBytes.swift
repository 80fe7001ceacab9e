// An encoded record that was checked once: what encoder, tiers and decoder hand to each other.

package import KVFormat
package import PageCodec

/// The record of a page or block whose header, frame table, key and layout are right: it came from the encoder, or was
/// checked when this value was made. Code that receives one need not check any of that again. What the frames hold is
/// checked where they are decoded, or by `verifyPayload()`. Nothing is copied; safe to read from several threads.
@safe
package struct RecordBytes: @unchecked Sendable {
    // Unchecked because the memory is only read, and does not change as long as the initialiser promises.
    private let memory: UnsafeRawBufferPointer
    private let shape: RecordShape
    /// The owner of the memory, unless the caller of `init(borrowing:)` owns it.
    private let owner: EncodedRecord?
    /// Whether the memory stays as it is for as long as its owner is there.
    private let isKept: Bool

    /// A record that an encoder has just made. It must not be encoded into again while this value is in use.
    package init(_ record: EncodedRecord) {
        guard let shape = record.shape else { preconditionFailure("nothing was encoded into this record") }
        self.init(record, shape)
    }

    /// Whether it is encrypted.
    package var isSealed: Bool { shape.isSealed }

    /// A copy of bytes from outside, such as a network or a file that others may change.
    ///
    /// - Parameters:
    ///   - bytes: the record, and perhaps padding behind it, which is not copied.
    ///   - key: the prefix hash, or the hash of the block, that it is wanted under.
    ///   - layout: the layout of its space, which says whether it is a page or a block.
    ///   - tokens: the tokens that the page must have, if that is known; of no meaning for a block.
    ///   - seal: that of a sealed space.
    /// - Throws: what is wrong with it. Check `verifyPayload()` too before it is stored anywhere.
    package init(
        copying bytes: RawSpan, key: PrefixHash, layout: KVLayout, tokens: Int? = nil, seal: SpaceSeal? = nil
    ) throws(RecordDamage) {
        let copy = EncodedRecord(copying: bytes)
        try self.init(copy, Self.shape(of: copy.bytes, key, layout, tokens, seal))
    }

    /// Borrows bytes. The caller guarantees that they stay in place and unchanged as long as this value is used. The
    /// parameters and errors are those of `init(copying:key:layout:tokens:seal:)`.
    @unsafe
    package init(
        borrowing bytes: RawSpan, key: PrefixHash, layout: KVLayout, tokens: Int? = nil, seal: SpaceSeal? = nil
    ) throws(RecordDamage) {
        shape = try Self.shape(of: bytes, key, layout, tokens, seal)
        let byteCount = shape.byteCount
        unsafe memory = unsafe bytes.withUnsafeBytes { unsafe UnsafeRawBufferPointer(rebasing: $0[..<byteCount]) }
        owner = nil
        isKept = false
    }

    /// Keeps bytes from outside that nobody changes any more, from `offset` on; nothing is copied. The other parameters
    /// and the errors are those of `init(copying:key:layout:tokens:seal:)`.
    package init(
        keeping memory: EncodedRecord, from offset: Int, key: PrefixHash, layout: KVLayout, tokens: Int? = nil,
        seal: SpaceSeal? = nil
    ) throws(RecordDamage) {
        guard (0...memory.byteCount).contains(offset) else { throw .wrongShape }
        let shape = try Self.shape(
            of: memory.bytes.extracting(offset..<memory.byteCount), key, layout, tokens, seal)
        self.shape = shape
        unsafe self.memory = unsafe memory.bytes.withUnsafeBytes {
            unsafe UnsafeRawBufferPointer(rebasing: $0[offset..<offset + shape.byteCount])
        }
        owner = memory
        isKept = true
    }

    private init(_ record: EncodedRecord, _ shape: RecordShape) {
        self.shape = shape
        unsafe memory = unsafe record.bytes.withUnsafeBytes {
            unsafe UnsafeRawBufferPointer(rebasing: $0[..<shape.byteCount])
        }
        owner = record
        isKept = false
    }

    /// What the check of a record finds.
    private static func shape(
        of bytes: RawSpan, _ key: PrefixHash, _ layout: KVLayout, _ tokens: Int?, _ seal: SpaceSeal?
    ) throws(RecordDamage) -> RecordShape {
        guard layout.isOfBlocks else {
            return try RecordView(bytes, key: key, layout: layout, tokens: tokens, seal: seal).shape
        }
        return try RecordView(block: bytes, key: key, element: layout.element ?? .opaque, seal: seal).shape
    }

    /// Bytes of the record.
    package var encodedBytes: Int { unsafe memory.count }
    /// Bytes of the page or block in it.
    package var rawBytes: Int { shape.rawByteCount }

    /// Number of frames in the record.
    var frameCount: Int { view.frameCount }

    /// The planes that frame `frame` holds.
    func planes(ofFrame frame: Int) -> Range<Int> { view.planes(ofFrame: frame) }

    /// Whether this is the record of that page or block.
    package func isRecord(of name: PageName, _ layout: KVLayout) -> Bool {
        guard name.isBlock == layout.isOfBlocks else { return false }
        return name.isBlock
            ? shape.isRecord(ofBlock: name.hash, element: layout.element ?? .opaque)
            : shape.isRecord(of: name.hash, tokens: name.tokens.count, layout)
    }

    /// The record's bytes.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get { unsafe _overrideLifetime(memory.bytes, borrowing: self) }
    }

    /// The record as the decoder takes it.
    package var view: RecordView {
        @_lifetime(borrow self)
        get { unsafe RecordView(checked: bytes, shape) }
    }

    /// A copy of the record in its own memory.
    package var copied: RecordBytes { RecordBytes(EncodedRecord(copying: bytes), shape) }

    /// The same record in memory that stays as it is: its own if that does, or else a copy.
    package var kept: RecordBytes { isKept ? self : copied }

    /// Reads every frame and compares its checksum, but decodes nothing. Use it for records from outside. A record that
    /// this process has encoded, or that is decoded next, need not be read twice.
    ///
    /// - Throws: `.badChecksum` for the first frame that fails.
    package func verifyPayload() throws(RecordDamage) { try view.verify() }
}
