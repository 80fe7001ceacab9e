// How fast encoded bytes come into memory: from the disk, or from the page cache.

internal import KVFormat
internal import Threads

/// What the loads of this process have measured, each in the time of one thread. Thread-safe.
package final class ReadRate: Sendable {
    private struct State {
        var average = MovingRate()
        /// Keeps the reads of `fetch` from being optimised away.
        var fetched: UInt8 = 0
    }

    private let state = Guarded(State())

    /// A rate without any measurement.
    package init() {}

    /// Bytes per second; `MovingRate.assumed` until enough has been read.
    var bytesPerSecond: Double { state.withLock { $0.average.bytesPerSecond } }

    /// Reads one byte of every 4 KiB, so that bytes that are not in memory are fetched now, and measures the time. For
    /// bytes in memory this takes a few microseconds per frame.
    func fetch(_ bytes: RawSpan, _ tally: ReadTally? = nil) {
        let start = SystemClock.monotonicNanoseconds()
        var sum: UInt8 = 0
        for offset in stride(from: 0, to: bytes.byteCount, by: 4096) {
            sum &+= bytes.little(offset, as: UInt8.self)
        }
        let time = SystemClock.monotonicNanoseconds() - start
        tally?.note(bytes: bytes.byteCount, nanoseconds: time)
        state.withLock { state in
            state.fetched = sum
            state.average.note(bytes: bytes.byteCount, nanoseconds: time)
        }
    }
}

/// How fast the encoded bytes of one load came. Thread-safe.
package final class ReadTally: Sendable {
    /// Encoded bytes per second and thread below which they came from the disk: memory is several times as fast, a disk
    /// at most half as fast. (`docs/performance.md` has figures.)
    private static let memoryRate = 4e9
    /// From this many bytes on the rate of one load says something.
    private static let enough = 1024.0 * 1024

    private let sum = Guarded((bytes: 0.0, nanoseconds: 0.0))

    /// Nothing was read yet.
    package init() {}

    func note(bytes: Int, nanoseconds: UInt64) {
        sum.withLock { sum in
            sum.bytes += Double(bytes)
            sum.nanoseconds += Double(nanoseconds)
        }
    }

    /// Whether the bytes had to come from the disk; of a load that was too small to tell, whether those before it had
    /// to, by their `average`.
    package func isOfDisk(or average: ReadRate) -> Bool {
        let rate = sum.withLock { $0.bytes < Self.enough ? nil : $0.bytes / max($0.nanoseconds, 1) * 1e9 }
        return rate ?? average.bytesPerSecond < Self.memoryRate
    }
}

/// A rate over the last few hundred MiB. A value type that reads no clock.
struct MovingRate: Equatable {
    /// Bytes per second that are assumed until enough is known: the rate of a typical disk in a server or laptop.
    static let assumed = 1.5e9
    /// Bytes from which on the measurement counts.
    static let enough = 4.0 * 1024 * 1024
    /// After this many bytes, older bytes count half.
    private static let memory = 256.0 * 1024 * 1024

    private var bytes = 0.0
    private var nanoseconds = 0.0

    /// The average, or what is assumed.
    var bytesPerSecond: Double {
        // At most as fast as memory: a clock that has not advanced must not give an infinite speed.
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
