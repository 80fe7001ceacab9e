// The bounded queue of pages on their way down, and the thread that drains it.
//
// One thread commits, in the order in which pages came: a page's parent comes before it and is committed before it or with
// it. A few more help it to encode. Encoding happens outside the write transaction, so that other processes wait for LMDB's
// lock only as long as the writing itself takes; what is stored already is not encoded at all.

package import KVFormat
package import PageCodec
internal import Threads

/// The spill queue and its writer. Thread-safe. The thread is started by the first page; whoever makes a writer closes it.
package final class SpillWriter: @unchecked Sendable {
    // Unchecked because `state` is only touched under `mutex`.
    private let mutex = Mutex()
    private let work = Condition()
    private let room = Condition()
    private let done = Condition()
    private var state = State()
    private let options: SpillOptions
    private let known: @Sendable ([SpillJob]) -> Set<PrefixHash>
    private let encoder: BatchEncoder
    private let commit: @Sendable ([SpillPage]) throws(StoreError) -> [SpillOutcome]

    /// Makes a writer.
    ///
    /// - Parameters:
    ///   - known: which pages of a batch are stored already; counts that as a use of each. Called on the writer's thread.
    ///   - encode: encodes one page into memory that earlier pages used. Called on several threads at once.
    ///   - commit: writes a batch in one synced transaction and says what became of each page; on an error nothing was
    ///     written. Called on the writer's thread; the records are used again after it.
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
            guard !state.isClosed, startThread() else { return .closed }
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
                work.signal()
                done.wait(mutex)
            }
            defer { state.failure = nil }
            return state.failure
        }
        if let failure { throw failure }
    }

    /// Writes what waits, then ends the thread. Later pages are refused; calling it twice does no harm.
    ///
    /// - Throws: as `flush`.
    package func close() throws(StoreError) {
        let thread = mutex.withLock { () -> Thread? in
            state.isClosed = true
            work.signal()
            room.broadcast()
            return state.thread
        }
        thread?.join()
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

    // MARK: The thread

    /// Called under the lock. False when the system has no thread to give: pages are refused then, and the next one tries again.
    private func startThread() -> Bool {
        if state.thread != nil { return true }
        state.thread = try? Thread { self.drain() }
        return state.thread != nil
    }

    private func drain() {
        while let batch = nextBatch() {
            let known = known(batch)
            var written = write(batch.filter { !known.contains($0.hash) })[...]
            // All at once and in order: a flush counts pages, and one that was known must not stand for one that is not done.
            finish(
                batch.map { job in
                    if !known.contains(job.hash), let done = written.popFirst() { return done }
                    return Finished(job: job, outcome: .alreadyThere, bytes: 0)
                })
        }
    }

    /// Encodes and commits; says what became of each page.
    private func write(_ batch: [SpillJob]) -> [Finished] {
        if batch.isEmpty { return [] }
        let start = Clock.monotonicNanoseconds()
        let pages = encoder.pages(batch)
        let encoded = Clock.monotonicNanoseconds()
        var outcomes = [SpillOutcome](repeating: .failed, count: pages.count)
        var failure: StoreError?
        do throws(StoreError) { outcomes = try commit(pages) } catch { failure = error }
        let committed = Clock.monotonicNanoseconds()
        let done = batch.indices.map {
            Finished(job: batch[$0], outcome: outcomes[$0], bytes: pages[$0].record.byteCount)
        }
        encoder.reuse()
        let stored = done.reduce(0) { $0 + ($1.outcome == .stored ? UInt64($1.bytes) : 0) }
        mutex.withLock {
            state.statistics.encodeNanoseconds += encoded - start
            state.statistics.commitNanoseconds += committed - encoded
            state.bucket?.spend(stored, now: committed)
            note(failure)
        }
        return done
    }

    /// Waits for pages, then a moment for more of them; nil when the writer is closed and everything is written.
    private func nextBatch() -> [SpillJob]? {
        while true {
            let (batch, isRefused) = mutex.withLock { () -> ([SpillJob], Bool) in
                while state.queue.isEmpty && !state.isClosed { work.wait(mutex) }
                waitForRate()
                waitForMore()
                return (state.take(options.batchBytes.value), isPausing)
            }
            if batch.isEmpty { return nil }
            guard isRefused else { return batch }
            // The disk refused a moment ago. Pages are refused at once, so that no engine waits for a full disk.
            finish(batch.map { Finished(job: $0, outcome: .failed, bytes: 0) })
        }
    }

    /// Called under the lock: keeps to the rate, unless somebody waits for the disk or pages are refused anyway.
    private func waitForRate() {
        while let bucket = state.bucket, !state.isClosed, !isFlushing, !isPausing {
            let left = bucket.wait(now: Clock.monotonicNanoseconds())
            guard left > 0 else { return }
            _ = work.wait(mutex, milliseconds: Int(left / 1_000_000) + 1)
        }
    }

    /// Called under the lock: lets a batch fill up, unless somebody waits for the disk or for room.
    private func waitForMore() {
        let deadline = Clock.monotonicNanoseconds() + UInt64(options.batchMilliseconds) * 1_000_000
        while state.queuedBytes < options.batchBytes.value, !state.isClosed, !isFlushing, state.blockedCallers == 0 {
            let now = Clock.monotonicNanoseconds()
            guard now < deadline else { return }
            _ = work.wait(mutex, milliseconds: Int((deadline - now) / 1_000_000) + 1)
        }
    }

    private var isFlushing: Bool { state.finished < state.flushTarget }

    /// A flush and a close try the disk again at once: their caller asks for the truth of this moment.
    private var isPausing: Bool {
        !isFlushing && !state.isClosed && Clock.monotonicNanoseconds() < state.pausedUntil
    }

    /// Called under the lock.
    private func note(_ failure: StoreError?) {
        guard let failure else {
            state.statistics.batches += 1
            state.failures = 0
            state.pausedUntil = 0
            return
        }
        state.failure = state.failure ?? failure
        let pause = UInt64(options.pauseMilliseconds) << UInt64(min(state.failures, 6))
        state.failures += 1
        state.pausedUntil = Clock.monotonicNanoseconds() + pause * 1_000_000
    }

    /// Counts what became of the pages, tells those who want to hear of it, and only then makes room and wakes who waits:
    /// when `flush` returns, every page knows its outcome.
    private func finish(_ pages: [Finished]) {
        let callbacks = mutex.withLock {
            pages.map { page in
                state.count(page)
                return (state.forget(page.job.hash), page.outcome)
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
