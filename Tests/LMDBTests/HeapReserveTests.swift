// Memory that is freed and used again without a way through the kernel.

import Glibc
import Testing
import Threads

@testable import LMDB

@Suite("A heap reserve")
struct HeapReserveTests {
    private static let block = 100 << 10
    private static let blocks = 80
    /// `RUSAGE_THREAD`, which only programs with GNU extensions see.
    private static let thread = __rusage_who_t(1)

    /// Takes 8 MiB in blocks, touches them, frees them, and counts the page faults of this thread.
    private static func faults() -> Int {
        var before = rusage()
        var after = rusage()
        unsafe getrusage(thread, &before)
        let memory = (0..<blocks).map { _ in Int(bitPattern: unsafe malloc(block)) }
        for address in memory {
            if let start = unsafe UnsafeMutableRawPointer(bitPattern: address) { unsafe memset(start, 1, block) }
        }
        for address in memory { unsafe free(UnsafeMutableRawPointer(bitPattern: address)) }
        unsafe getrusage(thread, &after)
        return Int(after.ru_minflt - before.ru_minflt)
    }

    @Test("keeps what a thread frees for what it takes next")
    func keeps() throws {
        let seen = Guarded<[Int]>([])
        // A thread of its own, whose heap nobody else uses meanwhile.
        try Thread {
            let reserve = HeapReserve(byteCount: 16 << 20)
            withExtendedLifetime(reserve) { seen.withLock { $0 = (0..<4).map { _ in Self.faults() } } }
        }.join()
        let faults = seen.withLock { $0 }
        // The first time it takes 2,000 pages of 4 KiB, unless the heap of a thread that has ended came with some.
        // Later a handful, for the heap's own books; without the reserve it would be 2,000 again.
        for later in faults[1...] { #expect(later < 200) }
    }
}
