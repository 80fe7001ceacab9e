// The bounded queue of pages that are to be written to disk. The threads that empty it are in the extensions.
//
// One thread takes batches off the queue and encodes them with a few helpers; another thread commits them. So the next
// batch is encoded while the disk writes the previous one. Both threads keep the order in which pages came: a page's
// parent comes before it, and is committed before it or with it. Encoding happens outside the write transaction, so
// that other processes wait for LMDB's lock only as long as the writing itself takes. Pages that are stored already are
// not encoded.

package import KVFormat
internal import PageCodec
package import Threads

/// The spill queue and its writer. Thread-safe. The first page starts the threads. The code that makes a writer must
/// close it.
package final class SpillWriter: Sendable {
    /// The state that both threads, callers and flushes share. They wait for its changes.
    let state: Guarded<State>
    let options: SpillOptions
    let known: @Sendable ([SpillJob]) -> Set<PrefixHash>
    let encoder: BatchEncoder
    let commit: @Sendable ([SpillPage]) throws(StoreError) -> [SpillOutcome]
    /// From the encoding thread to the writing thread. At most two batches are in memory, one with each thread.
    let encoded = Handover<SpillBatch>()

    /// Makes a writer.
    ///
    /// - Parameters:
    ///   - known: returns which pages of a batch are stored already, and counts this as a use of each. Called on the
    ///     encoding thread.
    ///   - encode: encodes one page into memory that earlier pages used. Called on several threads at once.
    ///   - commit: writes a batch in one synced transaction and returns what became of each page; after an error
    ///     nothing was written. Called on the writing thread. The records are reused after it.
    init(
        options: SpillOptions, known: @escaping @Sendable ([SpillJob]) -> Set<PrefixHash> = { _ in [] },
        encode: @escaping @Sendable (SpillJob, EncodedRecord) -> Void,
        commit: @escaping @Sendable ([SpillPage]) throws(StoreError) -> [SpillOutcome]
    ) {
        self.options = options
        self.known = known
        self.commit = commit
        encoder = BatchEncoder(options, encode: encode)
        state = Guarded(State(limit: options.bytesPerSecond.map { RateLimit(bytesPerSecond: $0.value) }))
    }

    /// Offers a page. If the policy is to wait, or `waits` is true, it waits while the queue is full. It does not wait
    /// for a full disk, because pages are refused then, nor beyond `deadline`. A page that is waiting already is not
    /// taken twice, but its `onDone` is called too.
    ///
    /// With `isAlwaysTaken`, the capacity does not count: the page has its record in RAM already, and must leave it.
    package func enqueue(
        _ job: SpillJob, waits: Bool = false, isAlwaysTaken: Bool = false, before deadline: Deadline? = nil
    ) -> EnqueueOutcome {
        let answer = state.withLock { state in
            let answer = admit(
                job, waits: waits || options.whenFull == .wait, isAlwaysTaken: isAlwaysTaken || !job.isForDisk, &state)
            if answer == nil { state.blockedCallers += 1 }
            return answer
        }
        state.broadcast()
        let outcome = answer ?? waitForRoom(job, before: deadline)
        if outcome != .queued { job.onDone?(.dropped) }
        return outcome
    }

    /// What `enqueue` would say now to a page without a callback; nil when it would take the page or wait for room. Ask
    /// before copying a page that may not be taken. A page that is refused here counts as dropped.
    package func answer(withoutCopyOf hash: PrefixHash, byteCount: Int) -> EnqueueOutcome? {
        state.withLock { state in
            if state.isClosed { return .closed }
            if state.waiting[hash] != nil { return .queued }
            let hasRoom = state.hasRoom(UInt64(byteCount), options.queueCapacity)
            guard options.whenFull == .drop, !hasRoom else { return nil }
            state.statistics.droppedPages += 1
            return .dropped
        }
    }

    /// Encodes a page on the calling thread, unless it has its record already, and has it keep that.
    package func settle(_ job: SpillJob) { encoder.settle(job) }

    /// Encodes a page on the calling thread. The record is valid during the call of `body`.
    package func withRecord<R>(of job: SpillJob, _ body: (RecordBytes) -> R) -> R { encoder.withRecord(of: job, body) }

    /// Which of these pages wait or are being written.
    package func waiting(among hashes: [PrefixHash]) -> Set<PrefixHash> {
        state.withLock { state in Set(hashes.filter { state.waiting[$0] != nil }) }
    }

    private func waitForRoom(_ job: SpillJob, before deadline: Deadline?) -> EnqueueOutcome {
        let size = job.queuedBytes
        defer { state.broadcast() }
        func isReady(_ state: State) -> Bool { state.isClosed || state.hasRoom(size, options.queueCapacity) }
        func enter(_ state: inout State) -> EnqueueOutcome {
            state.blockedCallers -= 1
            return admit(job, waits: true, isAlwaysTaken: false, &state) ?? .closed
        }
        guard let deadline else { return state.withLock(when: isReady, enter) }
        if let outcome = state.withLock(when: isReady, before: deadline, enter) { return outcome }
        state.withLock { $0.blockedCallers -= 1 }
        return .dropped
    }

    /// Called under the lock. Nil when the queue is full and the caller waits.
    private func admit(
        _ job: SpillJob, waits: Bool, isAlwaysTaken: Bool, _ state: inout State
    ) -> EnqueueOutcome? {
        if state.isClosed { return .closed }
        if state.joinWaiting(job) { return .queued }
        guard isAlwaysTaken || state.hasRoom(job.queuedBytes, options.queueCapacity) else {
            if waits { return nil }
            state.statistics.droppedPages += 1
            return .dropped
        }
        guard startThreads(&state) else { return .dropped }
        state.append(job)
        return .queued
    }

    /// Waits until every page enqueued before the call is done.
    ///
    /// - Throws: the first error that lost a page since the last call of `flush` or `close`. Pages that the policy
    ///   dropped because the queue or the quota was full are not an error; they are counted.
    package func flush() throws(StoreError) {
        let target = beginFlush()
        try reportFailure { $0.finished >= target }
    }

    /// As `flush()`, until `deadline` at the latest. Returns false when that has passed before the pages were done.
    package func flush(before deadline: Deadline) throws(StoreError) -> Bool {
        let target = beginFlush()
        guard state.wait(until: { $0.finished >= target }, before: deadline) else { return false }
        try reportFailure { _ in true }
        return true
    }

    /// Has the threads write everything that waits now.
    ///
    /// - Returns: the value of `State.finished` by which it is done.
    private func beginFlush() -> UInt64 {
        let target = state.withLock { state in
            if state.finished < state.accepted { state.flushTarget = state.accepted }
            return state.accepted
        }
        state.broadcast()
        return target
    }

    /// Waits until `isReady` holds, and throws the failure that has not been reported yet, if there is one.
    private func reportFailure(when isReady: (State) -> Bool) throws(StoreError) {
        let failure = state.withLock(when: isReady) { state in
            defer { state.failure = nil }
            return state.failure
        }
        if let failure { throw failure }
    }

    /// Writes the waiting pages, then ends the threads. Later pages are refused. A second call does no harm.
    ///
    /// - Parameter deadline: from then on the pages that are not written are refused, and the threads end by
    ///   themselves; nil to wait for all.
    /// - Returns: false when the deadline passed first.
    /// - Throws: as `flush`.
    @discardableResult
    package func close(before deadline: Deadline? = nil) throws(StoreError) -> Bool {
        let threads = state.withLock { state in
            state.isClosed = true
            return (encoding: state.encodingThread, writing: state.writingThread)
        }
        state.broadcast()
        if let deadline, !state.wait(until: { $0.finished >= $0.accepted }, before: deadline) {
            state.withLock { $0.isAbandoned = true }
            state.broadcast()
            threads.encoding?.detach()
            threads.writing?.detach()
            return false
        }
        threads.encoding?.join()
        // Without an encoding thread nobody else ends it.
        encoded.end()
        threads.writing?.join()
        encoder.close()
        try reportFailure { _ in true }
        return true
    }

    /// What the writer has done so far.
    package var statistics: SpillStatistics {
        state.withLock { state in
            var now = state.statistics
            now.waitingPages = UInt64(state.waiting.count)
            now.waitingBytes = state.bytes
            return now
        }
    }

    /// Called under the lock. False when the system refuses a thread. Then the page is refused, and the next one tries
    /// again.
    private func startThreads(_ state: inout State) -> Bool {
        do throws(ThreadError) {
            if state.writingThread == nil { state.writingThread = try Thread { self.writeBatches() } }
            if state.encodingThread == nil {
                state.encodingThread = try Thread(priority: .background) { self.encodeBatches() }
            }
            return true
        } catch {
            // The next page tries again. Until then nothing reaches the disk: the next flush has to say so.
            state.failure = state.failure ?? .system(call: "pthread_create", errno: error.errno)
            state.statistics.failedPages += 1
            return false
        }
    }

    /// Counts what became of the pages and calls their callbacks. Only then it makes room and wakes the waiting
    /// callers, so that every outcome has been reported when `flush` returns.
    func finish(_ pages: [FinishedJob]) {
        let callbacks = state.withLock { state in
            pages.map { page in
                state.count(page)
                return (state.forget(page.job), page.outcome)
            }
        }
        for (page, outcome) in callbacks { for callback in page { callback(outcome) } }
        state.withLock { state in
            for page in pages { state.bytes -= page.job.queuedBytes }
            state.finished += UInt64(pages.count)
        }
        state.broadcast()
    }
}
