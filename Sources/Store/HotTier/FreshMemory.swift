// Memory that a seat has for the first time.

internal import Glibc
internal import Synchronization
internal import Threads

/// Has the system provide the memory of seats in few calls, and not by one page fault for each page.
///
/// Huge pages are twice as fast as small ones, unless the system has to get them from somewhere else first: a virtual
/// machine that reports its free memory to its host gets it back 4 KiB at a time, and one huge page takes 6 ms there
/// instead of 0.25. Small pages come from memory that was in use a moment ago. So the time decides.
enum FreshMemory {
    /// Bytes that will be provided in small pages before huge ones are tried again.
    private static let smallBytes = Atomic(0)

    /// One attempt in this many bytes costs little where huge pages are slow.
    private static let bytesBetweenAttempts = 64 << 20
    /// Processor time for a huge page from which on small ones are faster.
    private static let slowNanoseconds: UInt64 = 1_000_000
    /// For less, page faults are as fast.
    private static let leastBytes = 64 << 10
    /// `MADV_POPULATE_WRITE`, which glibc declares only for programs with GNU extensions.
    private static let populate: Int32 = 23

    /// Provides the memory of a seat that was never used or was discarded. Call it with no lock held. Nothing depends
    /// on it: systems before Linux 5.14 provide the memory when it is touched.
    @unsafe
    static func provide(_ address: UnsafeMutableRawPointer, byteCount: Int) {
        guard byteCount >= leastBytes else { return }
        let bytes = (byteCount + PagePool.alignment - 1) / PagePool.alignment * PagePool.alignment
        let isSmall = smallBytes.load(ordering: .relaxed) > 0
        if isSmall {
            smallBytes.subtract(bytes, ordering: .relaxed)
            unsafe _ = madvise(address, bytes, MADV_NOHUGEPAGE)
        }
        let start = SystemClock.threadNanoseconds()
        unsafe _ = madvise(address, bytes, populate)
        let hugePages = UInt64(bytes / Reservation.hugePage + 1)
        if !isSmall, SystemClock.threadNanoseconds() - start > hugePages * slowNanoseconds {
            smallBytes.store(bytesBetweenAttempts, ordering: .relaxed)
        }
    }
}
