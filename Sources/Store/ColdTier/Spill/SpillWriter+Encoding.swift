// The encoding thread: takes batches off the queue, leaves out what is stored already, encodes the rest.

internal import KVFormat
internal import Threads

extension SpillWriter {
    /// Until the writer is closed and the queue is empty.
    func encodeBatches() {
        while let (jobs, isRefused) = nextJobs() {
            let known = isRefused ? [] : known(jobs)
            let batch = SpillBatch(jobs: jobs, known: known, encoded: isRefused ? nil : encode(jobs, without: known))
            mutex.withLock { state.batchesToWrite += 1 }
            encoded.give(batch)
        }
    }

    private func encode(_ jobs: [SpillJob], without known: Set<PrefixHash>) -> [SpillPage] {
        let missing = known.isEmpty ? jobs : jobs.filter { !known.contains($0.name.hash) }
        if missing.isEmpty { return [] }
        let start = SystemClock.monotonicNanoseconds()
        let pages = encoder.pages(missing)
        let nanoseconds = SystemClock.monotonicNanoseconds() - start
        mutex.withLock { state.statistics.encodeNanoseconds += nanoseconds }
        return pages
    }

    /// Waits for pages, then a moment for more of them; nil when the writer is closed and nothing waits. The pages are refused
    /// when the disk has just failed, so that no engine waits for a full disk.
    private func nextJobs() -> (jobs: [SpillJob], isRefused: Bool)? {
        mutex.withLock {
            // Nothing to do for either thread: what comes now begins with a small batch.
            if state.queue.isEmpty && state.batchesToWrite == 0 { state.wantedBytes = Self.firstBytes }
            while state.queue.isEmpty && !state.isClosed { work.wait(mutex) }
            waitForMore()
            let jobs = state.take(min(state.wantedBytes, options.batchBytes.value))
            state.wantedBytes = min(2 * state.wantedBytes, options.batchBytes.value)
            return jobs.isEmpty ? nil : (jobs, isPausing)
        }
    }

    /// Called under the lock: lets a batch fill up, unless somebody waits for the disk or for room.
    private func waitForMore() {
        let deadline = SystemClock.monotonicNanoseconds() + UInt64(options.batchMilliseconds) * 1_000_000
        while state.queuedBytes < enoughBytes, !state.isClosed, !isFlushing, state.blockedCallers == 0 {
            let now = SystemClock.monotonicNanoseconds()
            guard now < deadline else { return }
            _ = work.wait(mutex, milliseconds: Int((deadline - now) / 1_000_000) + 1)
        }
    }

    /// Called under the lock: raw bytes that are worth a batch now. While the disk has nothing to do, a small batch gets it
    /// going; then each is up to twice the one before it, since it has that much longer to be encoded.
    private var enoughBytes: UInt64 {
        min(options.batchBytes.value, state.batchesToWrite == 0 ? Self.firstBytes : state.wantedBytes)
    }

    static let firstBytes: UInt64 = 8 << 20
}
