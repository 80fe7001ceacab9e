// How late the machine itself is: threads that sleep for a millisecond, and wake when the system lets them.

import Foundation
import Threads

/// As many sleeping threads as there are cores. A machine on which these wake late beside a look-up makes the look-up
/// late too, whatever the store does. Thread-safe.
final class Witness: Sendable {
    private static let sleep: UInt64 = 1_000_000
    /// Sleeps that are remembered of each thread.
    private static let limit = 8192

    /// A sleep that was too long: when it began to be, and when it ended.
    private typealias Delay = (from: UInt64, to: UInt64)

    private struct State {
        var delays: [[Delay]]
        /// When each thread last fell asleep; a sleep that has not ended counts too.
        var asleepSince: [UInt64]
        var isClosed = false
    }

    private let state: Guarded<State>
    private let threads: [Threads.Thread]

    init() throws {
        let cores = max(1, ProcessInfo.processInfo.activeProcessorCount)
        let now = SystemClock.monotonicNanoseconds()
        let state = Guarded(
            State(
                delays: Array(repeating: [], count: cores), asleepSince: Array(repeating: now, count: cores)))
        self.state = state
        threads = try (0..<cores).map { number in try Threads.Thread { Self.run(number, state) } }
    }

    /// Ends the threads.
    func close() {
        state.withLock { $0.isClosed = true }
        for thread in threads { thread.join() }
    }

    private static func run(_ number: Int, _ state: Guarded<State>) {
        while true {
            let began = SystemClock.monotonicNanoseconds()
            let goesOn = state.withLock { state in
                state.asleepSince[number] = began
                return !state.isClosed
            }
            guard goesOn else { return }
            usleep(UInt32(sleep / 1000))
            let woke = SystemClock.monotonicNanoseconds()
            // Every sleep takes a little longer; twice as long is a machine that is busy.
            guard woke - began > 2 * sleep else { continue }
            state.withLock { state in
                if state.delays[number].count >= limit { state.delays[number].removeFirst(limit / 2) }
                state.delays[number].append((began + sleep, woke))
            }
        }
    }

    /// Nanoseconds between two moments in which a thread slept that should have been awake, of the thread that has
    /// most.
    func lateness(from start: UInt64, to end: UInt64) -> UInt64 {
        state.withLock { state in
            state.delays.indices.map { number in
                let last: Delay = (state.asleepSince[number] + Self.sleep, end)
                return (state.delays[number] + [last]).reduce(UInt64(0)) { sum, delay in
                    let (from, to) = (max(delay.from, start), min(delay.to, end))
                    return sum + (to > from ? to - from : 0)
                }
            }.max() ?? 0
        }
    }
}
