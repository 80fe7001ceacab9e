// Address space from the system. Memory appears in it when it is touched, and is given back when it is discarded.

internal import Glibc
internal import KVFormat

/// A range of zeroed, private, anonymous memory that no file and no other process sees.
///
/// Reserving costs no memory: the system provides pages at the first touch, huge ones where it can. The addresses never
/// change, so that readers need no lock to find them. Thread-safe, provided that its users agree on which thread writes
/// where.
@safe
final class Reservation: @unchecked Sendable {
    // Unchecked: two constants. The page arena decides which thread may write which bytes.
    private let mapping: UnsafeMutableRawPointer
    private let mappedBytes: Int

    /// The first byte, aligned to `hugePage`.
    let base: UnsafeMutableRawPointer

    /// The size of a huge page on the platforms that have them; a multiple of every base page size.
    static let hugePage = 2 << 20

    /// Reserves `byteCount` bytes, or one huge page when that is more.
    ///
    /// - Parameter isHuge: whether the system should provide huge pages. Of the others, only what is touched is there.
    /// - Throws: `StoreError.system` when the system has no address space left, or the user's limit on it is passed.
    init(byteCount: Int, isHuge: Bool = true) throws(StoreError) {
        // One huge page more than asked for, so that the base can be moved to a boundary.
        let size = max(byteCount, Self.hugePage) + Self.hugePage
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let address = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0)
        guard let address = unsafe address, Int(bitPattern: address) != -1 else {
            throw .system(call: "mmap", errno: errno)
        }
        unsafe mapping = address
        mappedBytes = size
        unsafe base = address.alignedUp(toMultipleOf: Self.hugePage)
        // Advice only: without huge pages everything works, but with more TLB misses.
        let advice = isHuge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE
        unsafe _ = madvise(base, max(byteCount, Self.hugePage), advice)
    }

    deinit {
        unsafe _ = munmap(mapping, mappedBytes)
    }

    /// Gives memory of a reservation back to the system; it reads as zero afterwards. Address and size are multiples of
    /// the system's page size. Memory that the host has locked, with `mlockall` for instance, is unlocked for that.
    ///
    /// - Returns: false when the system refuses. Then the memory is there as before.
    @unsafe
    static func discard(_ address: UnsafeMutableRawPointer, byteCount: Int) -> Bool {
        if unsafe madvise(address, byteCount, MADV_DONTNEED) == 0 { return true }
        return unsafe munlock(address, byteCount) == 0 && madvise(address, byteCount, MADV_DONTNEED) == 0
    }
}
