// What became of pages in the queue, and what the spill writer has done.

/// What happened to a page that was offered to the queue.
package enum EnqueueOutcome: Hashable, Sendable {
    /// The page waits, or was waiting already.
    case queued
    /// There was no room, and the policy is to drop.
    case dropped
    /// The writer is closed.
    case closed
}

/// What the spill writer has done since it was made. Bytes and nanoseconds add up over all pages.
package struct SpillStatistics: Hashable, Sendable {
    /// Pages that wait or are being written.
    package var waitingPages: UInt64 = 0
    /// Bytes that those pages take of the queue's capacity.
    package var waitingBytes: UInt64 = 0
    /// Pages written and synced.
    package var spilledPages: UInt64 = 0
    /// Raw bytes of those pages.
    package var rawBytes: UInt64 = 0
    /// Bytes of those pages as encoded.
    package var encodedBytes: UInt64 = 0
    /// Pages that were on disk already.
    package var knownPages: UInt64 = 0
    /// Pages whose parent was not on disk.
    package var orphanPages: UInt64 = 0
    /// Pages refused by a full queue or a full quota.
    package var droppedPages: UInt64 = 0
    /// Pages lost to an error of the disk.
    package var failedPages: UInt64 = 0
    /// Transactions committed.
    package var batches: UInt64 = 0
    /// Time in which batches were being encoded, by any number of threads.
    var encodeNanoseconds: UInt64 = 0
    /// Time spent in write transactions.
    var commitNanoseconds: UInt64 = 0
}
