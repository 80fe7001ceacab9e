// The bounded queue of pages on their way down; the threads that drain it are in the extensions.
//
// One thread takes batches off the queue and encodes them, with a few to help it; another commits them, so that the next batch
// is encoded while the disk has the one before. Both keep the order in which pages came: a page's parent comes before it
// and is committed before it or with it. Encoding happens outside the write transaction, so that other processes wait for
// LMDB's lock only as long as the writing itself takes; what is stored already is not encoded at all.

package import KVFormat
package import PageCodec
internal import Threads

/// The spill queue and its writer. Thread-safe. The threads are started by the first page; whoever makes a writer closes it.
package final class SpillWriter: @unchecked Sendable {
    // Unchecked because `state` is only touched under `mutex`.
    let mutex = Mutex()
    /// The encoding thread waits for pages, or for more of them.
    let work = Condition()
    /// The writing thread waits for the rate.
    let rate = Condition()
    private let room = Condition()
    private let done = Condition()
    var state = State()
    let options: SpillOptions
    let known: @Sendable ([SpillJob]) -> Set<PrefixHash>
    let encoder: BatchEncoder
    let commit: @Sendable ([SpillPage]) throws(StoreError) -> [SpillOutcome]
    /// From the encoding thread to the writing thread: two batches are in memory at most, one with each.
    let encoded = Handover<SpillBatch>()

    /// Makes a writer.
    ///
    /// - Parameters:
    ///   - known: which pages of a batch are stored already; counts that as a use of each. Called on the encoding thread.
    ///   - encode: encodes one page into memory that earlier pages used. Called on several threads at once.
    ///   - commit: writes a batch in one synced transaction and says what became of each page; on an error nothing was
    ///     written. Called on the writing thread; the records are used again after it.
    package init(
        options: SpillOptions, known: @escaping @Sendable ([SpillJob]) -> Set<PrefixHash> = { _ in [] },
        encode: @escaping @Sendable (SpillJob, EncodedRecord) -> Void,
        commit: @escaping @Sendable ([SpillPage]) throws(StoreError) -> [SpillOutcome]
    ) {
        self.options = options
        self.known = known
        self.commit = commit
        encoder = BatchEncoder(options, encode: encode)
        state.bucket = options.bytesPerSecond.map { TokenBucket(bytesPerSecond: $0.value) }
    }

    /// Offers a page. Waits while the queue is full if the policy is to wait; a full disk does not make it wait, since pages
    /// are refused then. A page that waits already is not taken twice; its `onDone` is called all the same.
    package func enqueue(_ job: SpillJob) -> EnqueueOutcome {
        let outcome = mutex.withLock { () -> EnqueueOutcome in
            if !state.isClosed && state.joinWaiting(job) { return .queued }
            let bytes = UInt64(job.rawBytes)
            while !state.isClosed, state.bytes > 0, state.bytes + bytes > options.queueCapacity.value {
                guard options.whenFull == .wait else {
                    state.statistics.droppedPages += 1
                    return .dropped
                }
                state.blockedCallers += 1
                work.signal()
                room.wait(mutex)
                state.blockedCallers -= 1
            }
            guard !state.isClosed, startThreads() else { return .closed }
            if state.joinWaiting(job) { return .queued }
            state.append(job)
            work.signal()
            return .queued
        }
        if outcome != .queued { job.onDone?(.dropped) }
        return outcome
    }

    /// Waits until every page enqueued before the call is done.
    ///
    /// - Throws: the first error that lost a page since the last call of `flush` or `close`. Pages that were refused by policy,
    ///   by a full queue or quota, are no error; they are counted.
    package func flush() throws(StoreError) {
        let failure = mutex.withLock { () -> StoreError? in
            let target = state.accepted
            while state.finished < target {
                state.flushTarget = max(state.flushTarget, target)
                hurry()
                done.wait(mutex)
            }
            defer { state.failure = nil }
            return state.failure
        }
        if let failure { throw failure }
    }

    /// Writes what waits, then ends the threads. Later pages are refused; calling it twice does no harm.
    ///
    /// - Throws: as `flush`.
    package func close() throws(StoreError) {
        let threads = mutex.withLock {
            state.isClosed = true
            hurry()
            room.broadcast()
            return (encoding: state.encodingThread, writing: state.writingThread)
        }
        threads.encoding?.join()
        encoded.end()
        threads.writing?.join()
        encoder.close()
        let failure = mutex.withLock { () -> StoreError? in
            defer { state.failure = nil }
            return state.failure
        }
        if let failure { throw failure }
    }

    /// What the writer has done so far.
    package var statistics: SpillStatistics {
        mutex.withLock {
            var now = state.statistics
            now.waitingPages = UInt64(state.waiting.count)
            now.waitingBytes = state.bytes
            return now
        }
    }

    /// Called under the lock: somebody waits for the disk, so nobody waits for more pages or for the rate.
    private func hurry() {
        work.signal()
        rate.signal()
    }

    /// Called under the lock. False when the system has no thread to give: pages are refused then, and the next one tries again.
    private func startThreads() -> Bool {
        if state.writingThread == nil { state.writingThread = try? Thread { self.writeBatches() } }
        guard state.writingThread != nil else { return false }
        if state.encodingThread == nil {
            state.encodingThread = try? Thread(priority: .background) { self.encodeBatches() }
        }
        return state.encodingThread != nil
    }

    /// Called under the lock: whether a flush waits.
    var isFlushing: Bool { state.finished < state.flushTarget }

    /// Called under the lock: whether the disk has just failed. A flush and a close try it again at once: their caller asks
    /// for the truth of this moment.
    var isPausing: Bool {
        !isFlushing && !state.isClosed && SystemClock.monotonicNanoseconds() < state.pausedUntil
    }

    /// Counts what became of the pages, tells those who want to hear of it, and only then makes room and wakes who waits:
    /// when `flush` returns, every page knows its outcome.
    func finish(_ pages: [FinishedJob]) {
        let callbacks = mutex.withLock {
            pages.map { page in
                state.count(page)
                return (state.forget(page.job.name.hash), page.outcome)
            }
        }
        for (page, outcome) in callbacks { for callback in page { callback(outcome) } }
        mutex.withLock {
            for page in pages { state.bytes -= UInt64(page.job.rawBytes) }
            state.finished += UInt64(pages.count)
            room.broadcast()
            done.broadcast()
        }
    }
}
