// The memory that a record is encoded into.

internal import Glibc

/// An encoded record that is to be stored, in memory that the next record can reuse.
///
/// New memory costs more than encoding, because the kernel clears every page of it. So keep a few of these objects and
/// pass them to `RecordEncoder.encode(_:into:)` again. Not thread-safe during encoding; any thread may read it
/// afterwards.
@safe
package final class EncodedRecord: @unchecked Sendable {
    // Unchecked: an encoder writes once, before the record is handed on; see the type's comment.
    private var storage: UnsafeMutableRawPointer?
    /// Bytes of memory that it holds and that the next record reuses.
    package private(set) var capacity = 0

    /// Bytes of the record; 0 before the first encoding.
    package private(set) var byteCount = 0
    /// The shape of what an encoder wrote; nil before that, and for a copy of bytes.
    package private(set) var shape: RecordShape?

    /// An empty record. The first encoding allocates its memory.
    package init() {}

    /// A copy of any bytes from elsewhere.
    package init(copying bytes: RawSpan) {
        let room = unsafe reserve(max(1, bytes.byteCount))
        unsafe bytes.withUnsafeBytes { source in
            guard let base = source.baseAddress else { return }
            unsafe room.copyMemory(from: base, byteCount: source.count)
        }
        byteCount = bytes.byteCount
    }

    /// Memory for `size` bytes that come from elsewhere, piece by piece. Whoever made it fills all of `room` before the
    /// object is handed on. Nil when the system has not so much: somebody else says how large it is.
    package init?(room size: Int) {
        guard let memory = unsafe malloc(max(1, size)) else { return nil }
        unsafe storage = memory
        capacity = max(1, size)
        byteCount = size
    }

    /// The memory of `init(room:)`, to be filled.
    @unsafe
    package var room: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: storage, count: byteCount)
    }

    /// Bytes of the page or side state that was encoded.
    package var rawByteCount: Int { shape?.rawByteCount ?? 0 }

    deinit { unsafe free(storage) }

    /// The record's bytes, valid until the object is encoded into again.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: storage, count: byteCount))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Empties the record and reserves room for `size` bytes.
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

    /// Records how much of the room was used.
    func finish(_ shape: RecordShape) {
        precondition(shape.byteCount <= capacity, "a record ran over its room")
        byteCount = shape.byteCount
        self.shape = shape
    }
}
