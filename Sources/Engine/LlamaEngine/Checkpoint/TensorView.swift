// A tensor inside a mapped weight file.

/// The element types that weights may have; little-endian in the file.
public enum TensorElementType: String, Sendable, Equatable {
    /// bfloat16, 2 bytes.
    case bf16 = "BF16"
    /// IEEE half, 2 bytes.
    case fp16 = "F16"
    /// IEEE single, 4 bytes.
    case fp32 = "F32"

    /// Bytes of one element.
    public var byteCount: Int { self == .fp32 ? 4 : 2 }
}

/// A row-major tensor whose bytes lie in a read-only file mapping.
///
/// It keeps the mapping alive and is cheap to copy. The bytes may be unaligned even for their element type: use
/// `loadUnaligned` or copy. If another program shortens a weight file while it is mapped, this process ends.
@safe
public struct TensorView: Sendable {
    /// Type of the elements.
    public let dtype: TensorElementType
    /// Extents, outermost first.
    public let shape: [Int]
    /// Size in bytes: the product of `shape` times `dtype.byteCount`.
    public let byteCount: Int

    private let file: MappedFile
    private let offset: Int

    /// The tensor at `offset` of `file`; the range has been checked by the header reader.
    init(dtype: TensorElementType, shape: [Int], file: MappedFile, offset: Int, byteCount: Int) {
        precondition(offset >= 0 && byteCount >= 0 && offset <= file.byteCount - byteCount)
        self.dtype = dtype
        self.shape = shape
        self.file = file
        self.offset = offset
        self.byteCount = byteCount
    }

    /// Number of elements.
    public var elementCount: Int { byteCount / dtype.byteCount }

    /// Calls `body` with the tensor's bytes, `byteCount` of them. The pointer is valid only until `body` returns.
    public func withUnsafeBytes<R, E: Error>(_ body: (UnsafeRawBufferPointer) throws(E) -> R) throws(E) -> R {
        defer { withExtendedLifetime(file) {} }
        return try unsafe body(UnsafeRawBufferPointer(rebasing: file.buffer[offset..<offset + byteCount]))
    }

    /// The tensor's bytes, `byteCount` of them, as long as this view is borrowed.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let part = unsafe UnsafeRawBufferPointer(rebasing: file.buffer[offset..<offset + byteCount])
            return unsafe _overrideLifetime(RawSpan(_unsafeBytes: part), borrowing: self)
        }
    }
}
