// How fast encoded bytes come into memory: from the disk, or from the page cache.

internal import KVFormat
internal import Threads

/// What this process's loads have measured, a thread's time at a time. Thread-safe.
package final class ReadRate: Sendable {
    private struct State {
        var average = MovingRate()
        /// Keeps the reads of `fetch` from being optimised away.
        var fetched: UInt8 = 0
    }

    private let state = Guarded(State())

    /// A rate that nothing was measured for.
    package init() {}

    /// Bytes a second; `MovingRate.assumed` until enough has been read.
    var bytesPerSecond: Double { state.withLock { $0.average.bytesPerSecond } }

    /// Reads a byte of every 4 KiB, so that what is not in memory is fetched now, and takes the time. What is in memory
    /// costs a few microseconds per frame.
    func fetch(_ bytes: RawSpan) {
        let start = SystemClock.monotonicNanoseconds()
        var sum: UInt8 = 0
        for offset in stride(from: 0, to: bytes.byteCount, by: 4096) {
            sum &+= bytes.little(offset, as: UInt8.self)
        }
        let time = SystemClock.monotonicNanoseconds() - start
        state.withLock { state in
            state.fetched = sum
            state.average.note(bytes: bytes.byteCount, nanoseconds: time)
        }
    }
}

/// A rate over the last few hundred MiB. Pure.
struct MovingRate: Equatable {
    /// Bytes a second that are assumed until enough is known: what a disk of a server or a laptop gives.
    static let assumed = 1.5e9
    /// Bytes from which on the measurement counts.
    static let enough = 4.0 * 1024 * 1024
    /// Where older bytes begin to count half.
    private static let memory = 256.0 * 1024 * 1024

    private var bytes = 0.0
    private var nanoseconds = 0.0

    /// The average, or what is assumed.
    var bytesPerSecond: Double {
        // At most as fast as memory: a clock that has not ticked is no infinite speed.
        bytes < Self.enough ? Self.assumed : min(bytes / max(nanoseconds, 1) * 1e9, 100e9)
    }

    /// Takes a measurement in.
    mutating func note(bytes count: Int, nanoseconds time: UInt64) {
        bytes += Double(count)
        nanoseconds += Double(time)
        guard bytes > Self.memory else { return }
        bytes /= 2
        nanoseconds /= 2
    }
}
