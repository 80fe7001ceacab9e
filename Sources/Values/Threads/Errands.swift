// Work for callers that wait for it no longer than they want: it goes on without them, for the next who asks.

/// Runs work on threads of its own, which start at first need. Thread-safe.
///
/// Nothing can interrupt a thread that waits for a disk. So a caller with a deadline has another thread wait in its
/// place. `close()` must be called by the code that made the object: the threads keep it alive.
package final class Errands: Sendable {
    /// Threads at most. While all of them wait for the disk, further work is not begun, and its callers' time runs out.
    package static let threadLimit = 4

    private struct Errand {
        let number: Int
        let work: @Sendable () -> Void
        let onDropped: @Sendable () -> Void
    }

    private struct State {
        /// Work that has not begun. What its caller takes back goes at once: while the disk answers nobody, callers
        /// come and go without an end.
        var waiting: [Errand] = []
        var lastNumber = 0
        var threads: [Thread] = []
        var idle = 0
        var isClosed = false
    }

    private let state = Guarded(State())

    /// No threads yet.
    package init() {}

    /// Begins `work` on another thread, as soon as one is free.
    ///
    /// - Parameter onDropped: called when the work never begins, because `close()` came first.
    /// - Returns: what takes the work back if it has not begun; nil when there is no thread for it, and never will be.
    package func begin(
        onDropped: @escaping @Sendable () -> Void = {}, _ work: @escaping @Sendable () -> Void
    ) -> (@Sendable () -> Void)? {
        let number: Int? = state.withLock { state in
            guard !state.isClosed else { return nil }
            if state.idle <= state.waiting.count, state.threads.count < Self.threadLimit,
                let thread = try? Thread({ self.work() })
            {
                state.threads.append(thread)
            }
            guard !state.threads.isEmpty else { return nil }
            state.lastNumber += 1
            state.waiting.append(Errand(number: state.lastNumber, work: work, onDropped: onDropped))
            return state.lastNumber
        }
        guard let number else { return nil }
        state.broadcast()
        return { self.state.withLock { $0.waiting.removeAll { $0.number == number } } }
    }

    /// The result of `work`, which runs on another thread; nil when the deadline has passed before that. Then it goes
    /// on without this caller, if it had begun.
    package func run<R: Sendable>(before deadline: Deadline, _ work: @escaping @Sendable () -> R) -> R? {
        // The result, and whether there will be none.
        let outcome = Guarded<(result: R?, isDropped: Bool)>((nil, false))
        @Sendable func end(_ result: R?) {
            outcome.withLock { $0 = (result, result == nil) }
            outcome.broadcast()
        }
        guard let withdraw = begin(onDropped: { end(nil) }, { end(work()) }) else { return nil }
        defer { withdraw() }
        return outcome.withLock(when: { $0.result != nil || $0.isDropped }, before: deadline) { $0.result } ?? nil
    }

    /// Ends the threads, each after the work that it has begun, and does not wait for that. Work that has not begun is
    /// dropped.
    package func close() {
        let (threads, dropped) = state.withLock { state in
            state.isClosed = true
            defer { (state.threads, state.waiting) = ([], []) }
            return (state.threads, state.waiting)
        }
        state.broadcast()
        for thread in threads { thread.detach() }
        for errand in dropped { errand.onDropped() }
    }

    private func work() {
        while let work = next() { work() }
    }

    /// Errands that have not begun.
    var waitingCount: Int { state.withLock { $0.waiting.count } }

    private func next() -> (@Sendable () -> Void)? {
        state.withLock { $0.idle += 1 }
        return state.withLock(when: { !$0.waiting.isEmpty || $0.isClosed }) { state in
            state.idle -= 1
            return state.waiting.isEmpty ? nil : state.waiting.removeFirst().work
        }
    }
}
