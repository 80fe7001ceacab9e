// A thread that keeps the disk busy while a large transaction writes.
//
// LMDB writes all pages of a transaction to the page cache and then syncs: the disk has nothing to do during the first,
// the processor nothing during the second. With a nudge every quarter of a millisecond the disk begins with the first
// pages while LMDB still copies the last: a fifth to a third less time a commit of 12 to 48 MiB.

internal import Glibc
internal import LMDB
internal import Threads

/// Nudges the disk while transactions run. Thread-safe, one transaction at a time; the thread is started by the first
/// of them and sleeps between them. Whoever makes it closes it.
final class Writeback: Sendable {
    private struct State {
        var isWriting = false
        var isClosed = false
        var thread: Thread?
    }

    private let state = Guarded(State())

    /// How long the disk may wait for the next nudge.
    private static let microseconds: UInt32 = 250

    /// From now on `environment` is told to start writing every now and then, until `end`. Call it inside a
    /// transaction: one that still waits for LMDB's lock writes nothing.
    func begin(_ environment: Environment) {
        state.withLock { state in
            guard !state.isClosed else { return }
            // A system that gives no thread costs speed only.
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
