// The writing thread: commits batches in their order, and reports the outcome of each page.

internal import KVFormat
internal import PageCodec
internal import Threads

extension SpillWriter {
    /// Runs until the encoding thread has ended and its last batch is written.
    func writeBatches() {
        while let batch = encoded.take() {
            let outcomes = write(batch)
            let done = batch.finished(outcomes)
            // This comes before the callbacks, which may offer the next pages.
            encoder.reuse(batch.pages)
            // All pages finish together and in order: a flush counts pages, and a known page must not be counted in
            // place of one that is not done.
            finish(done)
            state.withLock { $0.batchesToWrite -= 1 }
            state.broadcast()
        }
        encoder.close()
    }

    /// Commits a batch; nil when it was refused or failed. Then nothing of it is written.
    private func write(_ batch: SpillBatch) -> [SpillOutcome]? {
        guard !batch.isRefused else { return nil }
        let pages = batch.pages
        if pages.isEmpty { return [] }
        guard isWelcome() else { return nil }
        let start = SystemClock.monotonicNanoseconds()
        var outcomes: [SpillOutcome]?
        var failure: StoreError?
        do throws(StoreError) { outcomes = try commit(pages) } catch { failure = error }
        let committed = SystemClock.monotonicNanoseconds()
        var stored: UInt64 = 0
        for (page, outcome) in zip(pages, outcomes ?? []) where outcome == .stored {
            stored += UInt64(page.byteCount)
        }
        state.withLock { state in
            state.statistics.commitNanoseconds += committed - start
            state.limit?.spend(stored, now: committed)
            note(failure, &state)
        }
        return outcomes
    }

    /// Waits for the rate limit, unless a caller waits for the disk. False when the disk has just failed, so that the
    /// batch that was encoded meanwhile is refused like the waiting ones.
    private func isWelcome() -> Bool {
        let now = SystemClock.monotonicNanoseconds()
        let left = state.withLock { $0.isPausing ? 0 : $0.limit?.wait(now: now) ?? 0 }
        if left > 0 {
            _ = state.wait(until: { $0.isClosed || $0.isFlushing }, before: Deadline(nanoseconds: now + left))
        }
        return state.withLock { !$0.isPausing }
    }

    /// Called under the lock.
    private func note(_ failure: StoreError?, _ state: inout State) {
        guard let failure else {
            state.statistics.batches += 1
            state.failures = 0
            state.pausedUntil = 0
            return
        }
        state.failure = state.failure ?? failure
        let pause = UInt64(options.pauseMilliseconds) << UInt64(min(state.failures, 6))
        state.failures += 1
        state.pausedUntil = SystemClock.monotonicNanoseconds() + pause * 1_000_000
    }
}
