// What the spill writer's lock guards.

internal import KVFormat
internal import Threads

extension SpillWriter {
    /// The queue, the pages of the batches in progress, and the counters.
    struct State {
        /// Pages that wait, oldest first; `queue[..<head]` has been taken.
        private var jobs: [SpillJob] = []
        private var head = 0
        /// All pages to be written that are not done (waiting, being encoded or being written), with the callbacks to
        /// call when they are.
        var waiting: [PrefixHash: [@Sendable (SpillOutcome) -> Void]] = [:]
        /// Bytes in memory of all pages to be written that are not done.
        var bytes: UInt64 = 0
        /// Raw bytes of the pages that wait.
        var queuedBytes: UInt64 = 0
        /// The most raw bytes that the next batch takes.
        var wantedBytes = SpillWriter.firstBytes
        /// Batches that are encoded but not written.
        var batchesToWrite = 0
        /// Pages taken since the beginning, and how many of them are done. Pages are done in the order they were taken.
        var accepted: UInt64 = 0
        var finished: UInt64 = 0
        /// The highest `accepted` that a flush waits for.
        var flushTarget: UInt64 = 0
        var failure: StoreError?
        var failures = 0
        var pausedUntil: UInt64 = 0
        /// The limit on bytes per second, if there is one.
        var limit: RateLimit?
        var isClosed = false
        /// Whether a close has given up on the pages that are not written yet.
        var isAbandoned = false
        /// Callers of `enqueue` that wait for room.
        var blockedCallers = 0
        var encodingThread, writingThread: Thread?
        var statistics = SpillStatistics()

        init(limit: RateLimit?) { self.limit = limit }

        var queue: ArraySlice<SpillJob> { jobs[head...] }

        /// Whether a flush is waiting.
        var isFlushing: Bool { finished < flushTarget }

        /// Whether pages are refused, because the disk has just failed or nobody waits for them any more. A flush and a
        /// close try it again at once, because their caller wants to know its present state.
        var isPausing: Bool {
            isAbandoned || !isFlushing && !isClosed && SystemClock.monotonicNanoseconds() < pausedUntil
        }

        /// Whether `byteCount` more bytes fit into a queue of `capacity` bytes. An empty queue always accepts one page.
        func hasRoom(_ byteCount: UInt64, _ capacity: ByteCount) -> Bool {
            bytes == 0 || bytes + byteCount <= capacity.value
        }

        /// Whether this page is waiting already. If so, its callback is kept.
        mutating func joinWaiting(_ job: SpillJob) -> Bool {
            guard job.isForDisk, waiting[job.name.hash] != nil else { return false }
            if let callback = job.onDone { waiting[job.name.hash]?.append(callback) }
            return true
        }

        mutating func append(_ job: SpillJob) {
            jobs.append(job)
            if job.isForDisk { waiting[job.name.hash] = job.onDone.map { [$0] } ?? [] }
            bytes += job.queuedBytes
            queuedBytes += UInt64(job.rawBytes)
            accepted += 1
        }

        /// Takes pages off the front: as many as fit into `limit` bytes, and at least one.
        mutating func take(_ limit: UInt64) -> [SpillJob] {
            var size: UInt64 = 0
            var end = head
            while end < jobs.count, end == head || size + UInt64(jobs[end].rawBytes) <= limit {
                size += UInt64(jobs[end].rawBytes)
                end += 1
            }
            let batch = Array(jobs[head..<end])
            queuedBytes -= size
            head = end
            if head > 64, head * 2 > jobs.count {
                jobs.removeFirst(head)
                head = 0
            } else if head == jobs.count {
                jobs.removeAll(keepingCapacity: true)
                head = 0
            }
            return batch
        }

        /// Forgets a page that is done and returns its callbacks.
        mutating func forget(_ job: SpillJob) -> [@Sendable (SpillOutcome) -> Void] {
            // Of a page that is only encoded, another job may wait that writes it.
            guard job.isForDisk else { return job.onDone.map { [$0] } ?? [] }
            return waiting.removeValue(forKey: job.name.hash) ?? []
        }

        mutating func count(_ page: FinishedJob) {
            switch page.outcome {
            case .stored:
                statistics.spilledPages += 1
                statistics.rawBytes += UInt64(page.job.rawBytes)
                statistics.encodedBytes += UInt64(page.bytes)
            case .alreadyThere: statistics.knownPages += 1
            case .orphan: statistics.orphanPages += 1
            case .dropped: statistics.droppedPages += 1
            case .failed: statistics.failedPages += 1
            case .kept: break
            }
        }
    }
}
