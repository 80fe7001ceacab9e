// The result of checking a record.

package import KVFormat

/// What a checked record says about itself: enough to read the same bytes again without checking them again.
package struct RecordShape: Sendable {
    let header: RecordHeader
    /// The page's layout; nil for a side state or block.
    let layout: KVLayout?
    /// What the frames of a sealed record are encrypted with; nil for any other record.
    var contentKey: ContentKey?

    /// Bytes of the page, side state or block.
    package var rawByteCount: Int { Int(header.rawBytes) }
    /// Bytes of the record.
    package var byteCount: Int { FrameEntry.offset(header.frameCount) + Int(header.encodedBytes) }

    /// Whether it is the shape of a sealed record.
    package var isSealed: Bool { contentKey != nil }

    /// Whether it is the shape of this page's record.
    package func isRecord(of key: PrefixHash, tokens: Int, _ layout: KVLayout) -> Bool {
        header.key == key && header.tokens == tokens && self.layout == layout
    }

    /// Whether it is that of a block's record.
    package func isRecord(ofBlock key: PrefixHash, element: KVElement) -> Bool {
        header.key == key && header.kind == RecordHeader.Kind.block.rawValue && header.element == element.rawValue
    }
}

extension RecordView {
    /// The result of the check.
    package var shape: RecordShape { RecordShape(header: header, layout: layout, contentKey: contentKey) }

    /// The record in `bytes`. The caller guarantees that they are the bytes in which `shape` was found.
    @unsafe
    @_lifetime(copy bytes)
    package init(checked bytes: RawSpan, _ shape: RecordShape) {
        self.bytes = bytes
        header = shape.header
        layout = shape.layout
        contentKey = shape.contentKey
    }
}
