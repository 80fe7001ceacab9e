// The memory that a record is encoded into.

internal import Glibc

/// A record on its way to where it is stored, in memory that the next record can reuse.
///
/// Fresh memory costs more than encoding (the kernel clears every page of it), so keep a few of these and hand them to
/// `RecordEncoder.encode(_:into:)` again. Not thread-safe while it is encoded into; readable from any thread
/// afterwards.
@safe
package final class EncodedRecord: @unchecked Sendable {
    // Unchecked: an encoder writes once, before the record is handed on; see the type's comment.
    private var storage: UnsafeMutableRawPointer?
    /// Bytes of memory that it holds, and gives to the next record.
    package private(set) var capacity = 0

    /// Bytes of the record; 0 before the first encoding.
    package private(set) var byteCount = 0
    /// What an encoder wrote; nil before that, and for a copy of bytes.
    package private(set) var shape: RecordShape?

    /// An empty record; memory comes with the first encoding.
    package init() {}

    /// A copy of bytes from elsewhere, whatever they are.
    package init(copying bytes: RawSpan) {
        let room = unsafe reserve(max(1, bytes.byteCount))
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            unsafe room.copyMemory(from: base, byteCount: source.count)
        }
        byteCount = bytes.byteCount
    }

    /// Bytes of the page or side state that was encoded.
    package var rawByteCount: Int { shape?.rawByteCount ?? 0 }

    deinit { unsafe free(storage) }

    /// The record's bytes, for as long as the record is not encoded into again.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: storage, count: byteCount))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Empties the record and makes room for `size` bytes.
    ///
    /// - Returns: the room; valid until the next call.
    @unsafe
    func reserve(_ size: Int) -> UnsafeMutableRawPointer {
        byteCount = 0
        shape = nil
        if let held = unsafe storage, size <= capacity { return unsafe held }
        unsafe free(storage)
        unsafe storage = unsafe malloc(size)
        guard let fresh = unsafe storage else { preconditionFailure("no memory for a record of \(size) bytes") }
        capacity = size
        return unsafe fresh
    }

    /// Says how much of the room was used.
    func finish(_ shape: RecordShape) {
        precondition(shape.byteCount <= capacity, "a record ran over its room")
        byteCount = shape.byteCount
        self.shape = shape
    }
}
