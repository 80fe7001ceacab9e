// How an engine asks for pages to be encoded; the numbers on disk belong to PageCodec.

/// How the bytes of a page are encoded on disk. All are lossless.
public enum StoreCodec: Hashable, Sendable {
    /// As they are.
    case raw
    /// Exponents entropy-coded, the rest raw: about 1.48 times smaller for bf16.
    case zstd
}
