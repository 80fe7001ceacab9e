// How the spill writer behaves.

package import KVFormat
internal import Threads

/// How the spill writer behaves.
package struct SpillOptions: Hashable, Sendable {
    /// Raw bytes of pages that may wait; one page more than none is always taken.
    package var queueCapacity: ByteCount
    /// What happens when that many wait.
    package var whenFull: WhenQueueFull
    /// Raw bytes of one batch, which is one synced transaction. Two batches are in memory at once, one being encoded
    /// and one being written. From 4 MiB a commit on, the disk and not the sync is the limit; 32 MiB also hide the way
    /// there.
    package var batchBytes: ByteCount
    /// How long a batch waits for more pages before it is written, in milliseconds: what a kill may lose beside the
    /// batch under way. A commit costs an engine that is busy about as much as 2 MiB of pages do, so there should not
    /// be many a second.
    package var batchMilliseconds: Int
    /// How long the writer leaves the disk alone after a failure, in milliseconds; doubled at each further failure, up
    /// to 64 times.
    package var pauseMilliseconds: Int
    /// Threads that encode a batch, the writer's own among them; 1 or more.
    package var encoders: Int
    /// Encoded bytes that the writer stores in a second, measured over several batches; nil: as many as it can. A flush
    /// and a close don't keep to it, since somebody waits for them.
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
    package static var defaultEncoders: Int { 1 + min(1, Team.spareCores) }
}
