// How the spill writer behaves.

package import KVFormat
internal import Threads

/// How the spill writer behaves.
package struct SpillOptions: Hashable, Sendable {
    /// Limit on the bytes in the queue: those of records for pages that were encoded before they came, and raw bytes
    /// for the others. An empty queue always accepts one page, however large.
    package var queueCapacity: ByteCount
    /// What happens when the queue is full.
    package var whenFull: WhenQueueFull
    /// Raw bytes of one batch, which is one synced transaction. Two batches are in memory at once: one is being encoded
    /// and one is being written. From 4 MiB per commit on, the limit is the disk's rate and not the sync; at 32 MiB the
    /// remaining overhead is hidden too.
    package var batchBytes: ByteCount
    /// How long a batch waits for more pages before it is written, in milliseconds. A kill may lose these pages and the
    /// batch in progress. A commit costs a busy engine about as much as 2 MiB of pages, so there should not be many per
    /// second.
    package var batchMilliseconds: Int
    /// How long the writer leaves the disk alone after a failure, in milliseconds. Each further failure doubles it, up
    /// to 64 times this value.
    package var pauseMilliseconds: Int
    /// Number of threads that encode a batch, including the writer's own; 1 or more.
    package var encoders: Int
    /// Limit on the encoded bytes that the writer stores per second, as an average over several batches; nil means no
    /// limit. A flush and a close ignore the limit, because their callers wait.
    package var bytesPerSecond: ByteCount?

    /// Options with the given values.
    package init(
        queueCapacity: ByteCount = .mebibytes(384), whenFull: WhenQueueFull = .wait,
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

    /// From this many raw bytes on it pays to wake other threads: encoding less takes about as long as waking them.
    package static let sharedBytes = 256 << 10

    /// Two on a machine with two or more cores. With a third thread, the disk and not the encoding would be the limit.
    package static var defaultEncoders: Int { 1 + min(1, Team.spareCores) }
}
