// Memory that the C library keeps for the next transaction instead of giving it back to the system.

internal import Glibc

/// Keeps the memory that a thread frees, up to a number of bytes, in the process: LMDB takes memory for every large
/// value of a transaction and frees it with the commit. glibc then gives it back to the kernel, which clears every page
/// of it anew for the next transaction: a fifth of the time of a commit.
///
/// glibc gives back only what lies at the end of a heap. So this makes the thread's heap larger and keeps a few bytes
/// behind the new part; what is free before them stays. No setting of the C library changes, and no other thread's
/// memory: a library must not tune its host. The memory appears only when it is used. With another allocator it does
/// nothing.
@safe
package final class HeapReserve: @unchecked Sendable {
    // Unchecked because the only variable never changes.
    private let end: UnsafeMutableRawPointer?

    /// Pieces below the 128 KiB from which on glibc maps memory for each block apart.
    private static let piece = 120 << 10

    /// Makes the reserve in the heap of the calling thread.
    package init(byteCount: Int) {
        let pieces = (0..<max(1, byteCount / Self.piece)).map { _ in Int(bitPattern: unsafe malloc(Self.piece)) }
        // As large as a piece, so that it doesn't fit into a hole before them.
        unsafe end = unsafe malloc(Self.piece)
        for piece in pieces { unsafe free(UnsafeMutableRawPointer(bitPattern: piece)) }
    }

    deinit { unsafe free(end) }
}
