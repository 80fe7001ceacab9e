// A thread that keeps the disk busy while a large transaction writes.
//
// LMDB writes all pages of a transaction to the page cache and then syncs them. The disk is idle during the first step,
// and the processor during the second. With a nudge every quarter of a millisecond, the disk begins with the first
// pages while LMDB still copies the last. A commit of 12 to 48 MiB then takes a fifth to a third less time.

internal import Glibc
internal import LMDB
internal import Threads

/// Nudges the disk while transactions run. Thread-safe, for one transaction at a time. The first transaction starts the
/// thread, which sleeps between transactions. The code that makes this object must close it.
final class Writeback: Sendable {
    private struct State {
        var isWriting = false
        var isClosed = false
        var thread: Thread?
    }

    private let state = Guarded(State())

    /// How long the disk may wait for the next nudge.
    private static let microseconds: UInt32 = 250

    /// From now on until `end`, `environment` is told at short intervals to start writing. Call it inside a
    /// transaction: a transaction that still waits for LMDB's lock writes nothing.
    func begin(_ environment: Environment) {
        state.withLock { state in
            guard !state.isClosed else { return }
            // If the system refuses a thread, only speed is lost.
            if state.thread == nil { state.thread = try? Thread { self.nudge(environment) } }
            state.isWriting = true
        }
        state.signal()
    }

    /// The transaction has ended, if one was begun.
    func end() { state.withLock { $0.isWriting = false } }

    /// Ends the thread.
    func close() {
        let thread = state.withLock { state in
            state.isClosed = true
            return state.thread
        }
        state.signal()
        thread?.join()
    }

    private func nudge(_ environment: Environment) {
        while isNeeded() {
            environment.startWriteback()
            usleep(Self.microseconds)
        }
    }

    /// Waits for a transaction; false when there will be none.
    private func isNeeded() -> Bool { state.withLock(when: { $0.isWriting || $0.isClosed }) { !$0.isClosed } }
}
