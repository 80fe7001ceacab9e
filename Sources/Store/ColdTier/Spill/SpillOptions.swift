// How the spill writer behaves, and what it has done.

package import KVFormat

/// How the spill writer behaves.
package struct SpillOptions: Hashable, Sendable {
    /// Raw bytes of pages that may wait; one page more than none is always taken.
    package var queueCapacity: ByteCount
    /// What happens when that many wait.
    package var whenFull: WhenQueueFull
    /// Raw bytes of one batch, which is one synced transaction. Two batches are in memory at once, one being encoded and one
    /// being written. From 4 MiB a commit on, the disk and not the sync is the limit; 32 MiB also hide the way there.
    package var batchBytes: ByteCount
    /// How long a batch waits for more pages before it is written, in milliseconds: what a kill may lose beside the batch under
    /// way. A commit costs an engine that is busy about as much as 2 MiB of pages do, so there should not be many a second.
    package var batchMilliseconds: Int
    /// How long the writer leaves the disk alone after a failure, in milliseconds; doubled at each further failure, up to
    /// 64 times.
    package var pauseMilliseconds: Int
    /// Threads that encode a batch, the writer's own among them; 1 or more.
    package var encoders: Int
    /// Encoded bytes that the writer stores in a second, measured over several batches; nil: as many as it can. A flush and
    /// a close don't keep to it, since somebody waits for them.
    package var bytesPerSecond: ByteCount?

    /// Options with the given values.
    package init(
        queueCapacity: ByteCount = .mebibytes(256), whenFull: WhenQueueFull = .wait,
        batchBytes: ByteCount = .mebibytes(32), batchMilliseconds: Int = 100, pauseMilliseconds: Int = 100,
        encoders: Int = SpillOptions.defaultEncoders, bytesPerSecond: ByteCount? = nil
    ) {
        self.queueCapacity = queueCapacity
        self.whenFull = whenFull
        self.batchBytes = batchBytes
        self.batchMilliseconds = batchMilliseconds
        self.pauseMilliseconds = pauseMilliseconds
        self.encoders = encoders
        self.bytesPerSecond = bytesPerSecond
    }

    /// Two on a machine that has two cores: with a third the disk, not the encoding, is the limit.
    package static var defaultEncoders: Int { 1 + min(1, ColdOptions.spareCores) }
}

/// What happened to a page that was offered to the queue.
package enum EnqueueOutcome: Hashable, Sendable {
    /// It waits, or waited already.
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
    /// Raw bytes of those pages.
    package var waitingBytes: UInt64 = 0
    /// Pages written and synced.
    package var spilledPages: UInt64 = 0
    /// Raw bytes of those pages.
    package var rawBytes: UInt64 = 0
    /// Bytes of those pages as encoded.
    package var storedBytes: UInt64 = 0
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
    /// Time in which batches were being encoded, by however many threads.
    package var encodeNanoseconds: UInt64 = 0
    /// Time spent in write transactions.
    package var commitNanoseconds: UInt64 = 0
}
