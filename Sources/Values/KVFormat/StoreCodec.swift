// The codecs that an engine can choose. PageCodec defines their numbers on disk.

/// How the bytes of a page are encoded on disk. All codecs are lossless. A part of a page that would not become smaller
/// is stored as it is.
public enum StoreCodec: String, Hashable, Sendable, CaseIterable {
    /// No compression.
    case raw
    /// Exponents are entropy-coded and the rest stays raw: about 1.48 times smaller for bf16. The smallest codec, for
    /// slow or small disks.
    case zstd
    /// Exponents become codes of a few bits and the rest stays raw: about 1.41 times smaller for bf16, and decoded
    /// about as fast as memory is copied. For fast disks and warm page caches. Elements of 1 byte, and opaque pages,
    /// are stored raw.
    case kbit
    /// For each frame, the one of the three codecs that loads fastest. The choice depends on the encoded size, on how
    /// fast this CPU decodes, and on how fast this process has read from this disk so far.
    case auto
}
