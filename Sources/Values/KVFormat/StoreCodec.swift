// How an engine asks for pages to be encoded; the numbers on disk belong to PageCodec.

/// How the bytes of a page are encoded on disk. All are lossless, and a part of a page that gains nothing is stored as
/// it is.
public enum StoreCodec: String, Hashable, Sendable, CaseIterable {
    /// As they are.
    case raw
    /// Exponents entropy-coded, the rest raw: about 1.48 times smaller for bf16. The smallest, for slow or small disks.
    case zstd
    /// Exponents as codes of a few bits, the rest raw: about 1.41 times smaller for bf16, and decoded about as fast as
    /// memory is copied. For fast disks and warm page caches. Elements of 1 byte, and opaque pages, are stored raw.
    case kbit
    /// Each frame as that of the three with which it loads soonest: from the size it comes to, how fast this CPU
    /// decodes, and how fast this process's loads have come from this disk so far.
    case auto
}
