// The encoding thread: takes batches off the queue, skips pages that are stored already, and encodes the rest.

internal import KVFormat
internal import Threads

extension SpillWriter {
    /// Runs until the writer is closed and the queue is empty.
    func encodeBatches() {
        while let (jobs, isRefused) = nextJobs() {
            let known = isRefused ? [] : known(jobs.filter(\.isForDisk))
            // A page that is to be kept in memory does not need the disk.
            if isRefused { _ = encode(jobs.filter { !$0.isForDisk }, without: []) }
            let encoded = isRefused ? jobs.map { _ in nil } : encode(jobs, without: known)
            let batch = SpillBatch(jobs: jobs, known: known, encoded: encoded, isRefused: isRefused)
            state.withLock { $0.batchesToWrite += 1 }
            self.encoded.give(batch)
        }
        self.encoded.end()
    }

    private func encode(_ jobs: [SpillJob], without known: Set<PrefixHash>) -> [SpillPage?] {
        let start = SystemClock.monotonicNanoseconds()
        let pages = encoder.pages(jobs, without: known)
        let nanoseconds = SystemClock.monotonicNanoseconds() - start
        state.withLock { $0.statistics.encodeNanoseconds += nanoseconds }
        return pages
    }

    /// Waits for pages, and then a moment for more of them; nil when the writer is closed and the queue is empty. If
    /// the disk has just failed, the pages are refused, so that no engine waits for a full disk.
    private func nextJobs() -> (jobs: [SpillJob], isRefused: Bool)? {
        // Neither thread has work: the next pages begin with a small batch.
        state.withLock { state in
            if state.queue.isEmpty && state.batchesToWrite == 0 { state.wantedBytes = Self.firstBytes }
        }
        state.wait { !$0.queue.isEmpty || $0.isClosed }
        _ = state.wait(until: isFull, before: .after(.milliseconds(options.batchMilliseconds)))
        return state.withLock { state in
            let jobs = state.take(min(state.wantedBytes, options.batchBytes.value))
            state.wantedBytes = min(2 * state.wantedBytes, options.batchBytes.value)
            return jobs.isEmpty ? nil : (jobs, state.isPausing)
        }
    }

    /// Whether a batch need not wait for more pages, because it has enough, or because a caller waits for the disk or
    /// for room.
    ///
    /// While the disk is idle, a small batch is enough, so that it starts early. After that a batch may have up to
    /// twice the pages of the previous one, because there is more time to encode them.
    private func isFull(_ state: State) -> Bool {
        let enough = min(options.batchBytes.value, state.batchesToWrite == 0 ? Self.firstBytes : state.wantedBytes)
        return state.queuedBytes >= enough || state.isClosed || state.isFlushing || state.blockedCallers > 0
    }

    static let firstBytes: UInt64 = 8 << 20
}
