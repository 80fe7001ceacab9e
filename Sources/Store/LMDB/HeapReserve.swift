// Memory that the C library keeps for the next transaction instead of giving it back to the system.

internal import Glibc

/// Keeps the memory that a thread frees in the process, up to a number of bytes. LMDB takes memory for every large
/// value of a transaction and frees it with the commit. glibc then gives it back to the kernel, which clears every page
/// again for the next transaction. That takes a fifth of the time of a commit.
///
/// glibc gives back only memory at the end of a heap. So this makes the thread's heap larger and keeps a few bytes
/// behind the new part; the free memory before them stays. It changes no setting of the C library and no other thread's
/// memory, because a library must not tune its host. The memory appears only when it is used. With another allocator
/// this has no effect.
@safe
package final class HeapReserve: @unchecked Sendable {
    // Unchecked because the only variable never changes.
    private let end: UnsafeMutableRawPointer?

    /// The size of a piece: below 128 KiB, from which on glibc maps each block separately.
    private static let piece = 120 << 10

    /// Makes the reserve in the heap of the calling thread.
    package init(byteCount: Int) {
        let pieces = (0..<max(1, byteCount / Self.piece)).map { _ in Int(bitPattern: unsafe malloc(Self.piece)) }
        // As large as a piece, so that it does not fit into a hole before the pieces.
        unsafe end = unsafe malloc(Self.piece)
        for piece in pieces { unsafe free(UnsafeMutableRawPointer(bitPattern: piece)) }
    }

    deinit { unsafe free(end) }
}
