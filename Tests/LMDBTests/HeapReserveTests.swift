// Memory that is freed and used again without a way through the kernel.

import Glibc
import Testing

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

    /// Runs `body` on a thread of its own, whose heap nobody else uses meanwhile.
    private static func onOwnThread(_ body: @escaping @Sendable () -> [Int]) throws -> [Int] {
        let result = Result()
        let run = Box { result.faults = body() }
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Box>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, unsafe Unmanaged.passRetained(run).toOpaque())
        try #require(status == 0)
        pthread_join(thread, nil)
        return result.faults
    }

    @Test("keeps what a thread frees for what it takes next")
    func keeps() throws {
        let faults = try Self.onOwnThread {
            let reserve = HeapReserve(byteCount: 16 << 20)
            return withExtendedLifetime(reserve) { (0..<4).map { _ in Self.faults() } }
        }
        // The first time it takes 2,000 pages of 4 KiB, unless the heap of a thread that has ended came with some. Later a
        // handful, for the heap's own books; without the reserve it would be 2,000 again.
        for later in faults[1...] { #expect(later < 200) }
    }
}

private final class Result: @unchecked Sendable {
    // Unchecked because one thread writes before the other, which waits for its end, reads.
    var faults: [Int] = []
}

private final class Box: Sendable {
    let body: @Sendable () -> Void
    init(_ body: @escaping @Sendable () -> Void) { self.body = body }
}
