// The writing thread: commits batches in their order, and tells their pages.

internal import KVFormat
internal import PageCodec
internal import Threads

extension SpillWriter {
    /// Until the encoding thread has ended and its last batch is written.
    func writeBatches() {
        while let batch = encoded.take() {
            let outcomes = write(batch)
            let done = batch.finished(outcomes)
            // Before anybody hears of the pages: whoever does may offer the next ones.
            if let pages = batch.encoded { encoder.reuse(pages) }
            // All at once and in order: a flush counts pages, and one that was known must not stand for one that is not done.
            finish(done)
            mutex.withLock {
                state.batchesToWrite -= 1
                work.signal()
            }
        }
    }

    /// Commits a batch; nil when it was refused or failed, and nothing of it is written.
    private func write(_ batch: SpillBatch) -> [SpillOutcome]? {
        guard let pages = batch.encoded else { return nil }
        if pages.isEmpty { return [] }
        guard mutex.withLock({ isWelcome() }) else { return nil }
        let start = SystemClock.monotonicNanoseconds()
        var outcomes: [SpillOutcome]?
        var failure: StoreError?
        do throws(StoreError) { outcomes = try commit(pages) } catch { failure = error }
        let committed = SystemClock.monotonicNanoseconds()
        var stored: UInt64 = 0
        for (page, outcome) in zip(pages, outcomes ?? []) where outcome == .stored {
            stored += UInt64(page.record.byteCount)
        }
        mutex.withLock {
            state.statistics.commitNanoseconds += committed - start
            state.bucket?.spend(stored, now: committed)
            note(failure)
        }
        return outcomes
    }

    /// Called under the lock: keeps to the rate unless somebody waits for the disk. False when the disk has just failed, so
    /// that the batch encoded meanwhile is refused like those that wait.
    private func isWelcome() -> Bool {
        while let bucket = state.bucket, !state.isClosed, !isFlushing, !isPausing {
            let left = bucket.wait(now: SystemClock.monotonicNanoseconds())
            guard left > 0 else { break }
            _ = rate.wait(mutex, milliseconds: Int(left / 1_000_000) + 1)
        }
        return !isPausing
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
        state.pausedUntil = SystemClock.monotonicNanoseconds() + pause * 1_000_000
    }
}
