// The thread that waits for the writers of other processes, so that callers need not wait longer than they want.

internal import Glibc
internal import Synchronization
internal import Threads

/// Runs write transactions one after the other on a thread of their own. Thread-safe.
///
/// LMDB's writer lock can be waited for only without a limit, and is bound to the thread that takes it. So one thread
/// takes it, and a caller whose time is up before that withdraws its transaction. The first transaction starts the
/// thread. An idle thread keeps nothing alive but this object.
final class WriterThread: Sendable {
    /// One transaction of one caller.
    private final class Job: Sendable {
        let begin: @Sendable () -> Result<TransactionCore, LMDBError>
        let end: @Sendable (_ wasBegun: Bool) -> Void
        let phase: Guarded<Phase>

        init(
            begin: @escaping @Sendable () -> Result<TransactionCore, LMDBError>, body: @escaping Body,
            end: @escaping @Sendable (_ wasBegun: Bool) -> Void
        ) {
            self.begin = begin
            self.end = end
            phase = Guarded(.waiting(body))
        }

        /// Takes the body, which nobody can withdraw from then on; nil when it was withdrawn.
        func take() -> Body? {
            phase.withLock { phase in
                guard case .waiting(let body) = phase else { return nil }
                phase = .running
                return body
            }
        }

        /// Takes the transaction back; false when it has begun.
        func withdraw() -> Bool {
            phase.withLock { phase in
                guard phase.isWaiting else { return false }
                phase = .withdrawn
                return true
            }
        }
    }

    private typealias Body = @Sendable (Result<TransactionCore, LMDBError>) -> Void

    private enum Phase {
        case waiting(Body)
        case running, done, withdrawn

        var isWaiting: Bool { if case .waiting = self { true } else { false } }
        var isRunning: Bool { if case .running = self { true } else { false } }
        var isDone: Bool { if case .done = self { true } else { false } }
    }

    private struct State {
        var jobs: [Job] = []
        var thread: Thread?
        var isBusy = false
        var isClosed = false
    }

    private let state = Guarded(State())

    /// Runs one transaction on the thread.
    ///
    /// - Parameters:
    ///   - begin: begins a transaction and may wait as long as it likes. It is called for the first of several callers,
    ///     and may still run when the caller has given up.
    ///   - body: runs with what `begin` returned; it must end the transaction. Never runs after this call has returned.
    ///   - end: called with whether `begin` succeeded, when the transaction has ended.
    /// - Returns: false when the deadline passed before the transaction could begin. Then `body` was not run.
    /// - Throws: `.closed`; a `.code` when the system refuses a thread.
    func run(
        before deadline: Deadline, begin: @escaping @Sendable () -> Result<TransactionCore, LMDBError>,
        body: (Result<TransactionCore, LMDBError>) -> Void, end: @escaping @Sendable (_ wasBegun: Bool) -> Void
    ) throws(LMDBError) -> Bool {
        let outcome = withoutActuallyEscaping(body) { body in
            // The caller waits until the closure has run or never will.
            nonisolated(unsafe) let body = body
            let job = Job(begin: begin, body: { unsafe body($0) }, end: end)
            return Result<Bool, LMDBError> { () throws(LMDBError) in
                try enqueue(job)
                return try wait(for: job, before: deadline)
            }
        }
        return try outcome.get()
    }

    /// Ends the thread after the transaction that runs; those that have not begun are refused. The thread is not waited
    /// for when it is busy, because it may be waiting for another process.
    func close() {
        let (jobs, thread, isBusy) = state.withLock { state in
            state.isClosed = true
            defer { (state.jobs, state.thread) = ([], nil) }
            return (state.jobs, state.thread, state.isBusy)
        }
        state.broadcast()
        for job in jobs where job.withdraw() { job.phase.broadcast() }
        if isBusy { thread?.detach() } else { thread?.join() }
    }

    private func enqueue(_ job: Job) throws(LMDBError) {
        try state.withLock { state throws(LMDBError) in
            if state.isClosed { throw .closed }
            if state.thread == nil {
                do throws(ThreadError) {
                    state.thread = try Thread { self.work() }
                } catch {
                    throw .code(error.errno, call: "pthread_create")
                }
            }
            state.jobs.append(job)
        }
        state.broadcast()
    }

    private func wait(for job: Job, before deadline: Deadline) throws(LMDBError) -> Bool {
        let isBegun = job.phase.wait(until: { !$0.isWaiting }, before: deadline)
        if !isBegun && job.withdraw() {
            state.withLock { state in state.jobs.removeAll { $0 === job } }
            return false
        }
        if job.phase.withLock(when: { !$0.isRunning }, { !$0.isDone }) { throw .closed }
        return true
    }

    // MARK: The thread

    private func work() {
        FileLimit.isAlwaysError()
        while serve() {}
    }

    /// Serves one caller; false when there will be none.
    private func serve() -> Bool {
        guard let served = serveNext() else { return false }
        served.withLock { phase in if phase.isRunning { phase = .done } }
        served.broadcast()
        return true
    }

    /// A function of its own: when it returns, the thread holds nothing of a caller but where it waits, so that an
    /// environment whose caller goes on and lets go of it is closed at once. Nil when there will be no callers.
    private func serveNext() -> Guarded<Phase>? {
        guard let first = next() else { return nil }
        let begun = first.begin()
        let served = runNext(begun)
        if served == nil, case .success(let core) = begun { core.abort() }
        if case .success = begun { first.end(true) } else { first.end(false) }
        state.withLock { $0.isBusy = false }
        return served?.phase ?? first.phase
    }

    /// Runs the body of the first caller that has not given up; nil when all have. A function of its own: when it
    /// returns, the thread holds no part of the body, and the caller may go on.
    private func runNext(_ begun: Result<TransactionCore, LMDBError>) -> Job? {
        while let job = state.withLock({ $0.jobs.isEmpty ? nil : $0.jobs.removeFirst() }) {
            guard let body = job.take() else { continue }
            job.phase.broadcast()
            body(begun)
            return job
        }
        return nil
    }

    private func next() -> Job? {
        state.withLock(when: { !$0.jobs.isEmpty || $0.isClosed }) { state in
            guard let first = state.jobs.first else { return nil }
            state.isBusy = true
            return first
        }
    }
}
