// zstd's two contexts, with exact sizes and, except for one setting, only zstd's stable interface.

internal import CZstd

/// Compresses chunks of top bytes. One thread at a time.
@safe
struct ZstdCompressor: ~Copyable {
    private let context: OpaquePointer

    /// The kind of content that is compressed.
    enum Content {
        /// Bytes that may repeat: whole elements of one byte, side states.
        case bytes
        /// Exponents, whose repetitions have no order: searching for matches costs time, and the sequences that it
        /// produces even cost size. Only zstd's entropy coder is useful.
        case exponents
    }

    /// Makes a context for one kind of content.
    init(_ content: Content) {
        guard let made = unsafe ZSTD_createCCtx() else { preconditionFailure("no memory for a zstd context") }
        unsafe context = unsafe made
        let settings = [
            (ZSTD_c_strategy, Int32(ZSTD_fast.rawValue)), (ZSTD_c_minMatch, 7), (ZSTD_c_hashLog, 6),
            (ZSTD_c_windowLog, 17), (ZSTD_c_targetLength, 0),
        ]
        for (parameter, value) in settings {
            precondition(unsafe set(parameter, value), "zstd refuses a setting of its documentation")
        }
        guard content == .exponents else { return }
        // zstd looks for no matches when it steps over a whole block at a time. It still codes literals when it is told
        // to (its "literalCompressionMode", 1 for "on"): 1.4 times as fast, and 0.5 % smaller. That setting is not
        // among zstd's stable ones; a zstd without it works as before.
        if unsafe set(ZSTD_c_experimentalParam5, 1) { _ = unsafe set(ZSTD_c_targetLength, 131_072) }
    }

    /// - Returns: false when zstd refuses.
    @unsafe
    private borrowing func set(_ parameter: ZSTD_cParameter, _ value: Int32) -> Bool {
        unsafe ZSTD_isError(ZSTD_CCtx_setParameter(context, parameter, value)) == 0
    }

    deinit { unsafe _ = ZSTD_freeCCtx(context) }

    /// Bytes that `compress` may write for `count` bytes, whatever they are.
    static func bound(_ count: Int) -> Int { ZSTD_compressBound(count) }

    /// Compresses `count` bytes at `source` to `target`, which has room for `bound(count)`.
    ///
    /// - Returns: the bytes written, or nil when zstd gains nothing.
    @unsafe
    borrowing func compress(_ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer) -> Int? {
        let size = unsafe ZSTD_compress2(context, target, ZSTD_compressBound(count), source, count)
        return ZSTD_isError(size) == 0 && size < count ? size : nil
    }
}

/// Decompresses chunks of top bytes. One thread at a time.
@safe
final class ZstdDecompressor {
    /// Made when it is needed first: it is 160 KiB, and the records of most stores never need it.
    private var context: OpaquePointer?

    deinit { unsafe _ = ZSTD_freeDCtx(context) }

    @unsafe
    private func readyContext() -> OpaquePointer {
        if let made = unsafe context { return unsafe made }
        guard let made = unsafe ZSTD_createDCtx() else { preconditionFailure("no memory for a zstd context") }
        unsafe context = unsafe made
        return unsafe made
    }

    /// Decompresses exactly `count` bytes from exactly `size` bytes, which must be one zstd frame that names its
    /// content size.
    /// - Returns: false when the bytes are anything else. Then `target` holds garbage, but nothing outside it was
    ///   written.
    @unsafe
    func decompress(
        _ source: UnsafeRawPointer, _ size: Int, to target: UnsafeMutableRawPointer, _ count: Int
    ) -> Bool {
        unsafe ZSTD_getFrameContentSize(source, size) == UInt64(count)
            && ZSTD_findFrameCompressedSize(source, size) == size
            && ZSTD_decompressDCtx(readyContext(), target, count, source, size) == count
    }
}
