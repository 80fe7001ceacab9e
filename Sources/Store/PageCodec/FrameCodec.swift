// The codecs of frames, by number.

/// How the bytes of one frame are stored. The numbers are part of the format and never change.
package enum FrameCodec: UInt8, Sendable, CaseIterable {
    /// The planes one after the other, as they are.
    case raw = 0
    /// Byte planes: zstd codes the top bytes, and the others are stored as they are. For elements of 2 and 4 bytes.
    case zstd = 1
    /// Byte planes: the exponents become codes of fixed length with escapes. For elements of 2 and 4 bytes.
    case kbit = 2
    /// Chunks of bytes that zstd codes. For elements of 1 byte, and for bytes of unknown meaning.
    case zstdPlain = 3
}

/// The codec that an encoder should use. A frame that gains less than 1/64 is always stored raw.
package enum CodecChoice: Hashable, Sendable, CaseIterable {
    /// No compression: the fastest to write and to read.
    case raw
    /// The fastest codec that saves space: `kbit` for elements of 2 and 4 bytes, raw for others.
    case kbit
    /// The smallest: `zstd` for elements of 2 and 4 bytes, `zstdPlain` for others.
    case zstd
    /// For each frame, the one of the other codecs that loads it fastest at these rates.
    case auto(CodecRates)

    /// Every choice once; `auto` at typical rates.
    package static let allCases: [CodecChoice] = [.raw, .kbit, .zstd, .auto(.typical)]

    /// The codec to try on elements of `elementWidth` bytes; nil when there is more than one to try.
    func codec(elementWidth: Int) -> FrameCodec? {
        switch self {
        case .raw: .raw
        case .kbit: elementWidth > 1 ? .kbit : .raw
        case .zstd: elementWidth > 1 ? .zstd : .zstdPlain
        case .auto: nil
        }
    }
}
