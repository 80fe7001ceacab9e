// What a store has done since this process opened it.

internal import ColdTier
internal import HotTier
internal import Records
internal import Threads

/// What a store has done since this process opened it, for metrics and for the summary of a batch.
public struct StoreStatistics: Hashable, Sendable {
    /// Calls of `match`.
    public var matches: UInt64 = 0
    /// Token ids given to `match`.
    public var requestedTokens: UInt64 = 0
    /// Tokens that were loaded, by the tier that gave them.
    public var loadedTokens = TokensByTier()
    /// Tokens that were found, and computed all the same because loading them would have taken longer.
    public var skippedTokens: UInt64 = 0
    /// Bytes of pages and blocks loaded into callers' memory.
    public var loadedBytes = ByteCount.zero
    /// Time spent in loading them.
    public var loadTime = Duration.zero
    /// Prefill time that loading saved: loaded tokens at the engine's measured prefill rate, less the time of loading.
    /// Zero until the engine has reported a prefill.
    public var savedTime = Duration.zero
    /// Pages that `Space.insert` took, into RAM or straight into the queue to the disk, and blocks that
    /// `BlockSpace.put` queued.
    public var insertedPages: UInt64 = 0
    /// Pages and blocks written to the cold tier.
    public var spilledPages: UInt64 = 0
    /// Bytes of those before encoding.
    public var spilledRawBytes = ByteCount.zero
    /// Bytes of those after encoding.
    public var spilledEncodedBytes = ByteCount.zero
    /// Pages and blocks that were not written because the queue was full, the quota was full of pins, or writing
    /// failed.
    public var droppedPages: UInt64 = 0
    /// Pages and blocks that were not written because what they follow is not stored: eviction took it, or it was never
    /// put.
    public var orphanPages: UInt64 = 0
    /// Pages evicted from the hot tier.
    public var hotEvictions: UInt64 = 0
    /// Bytes in use of the hot tier.
    public var hotBytes = ByteCount.zero
    /// Damaged pages that were met, each of them a miss.
    public var damagedPages: UInt64 = 0
    /// What the remote has done, and which pages are not there yet; nil without one.
    public var remote: RemoteStatistics?

    /// The share of requested tokens that was loaded, from any tier; 0 when nothing was asked for. Blocks hold no
    /// tokens and do not count.
    public var hitRate: Double {
        requestedTokens == 0 ? 0 : Double(loadedTokens.total) / Double(requestedTokens)
    }
}

extension Store {
    /// What this process has done with the store so far. Each number is exact; together they are no snapshot.
    public var statistics: StoreStatistics {
        var all = StoreStatistics()
        all.matches = counters.matches.value
        all.requestedTokens = counters.requestedTokens.value
        all.loadedTokens = TokensByTier(
            hot: Int(clamping: counters.hotTokens.value), cold: Int(clamping: counters.coldTokens.value),
            remote: Int(clamping: counters.remoteTokens.value))
        all.skippedTokens = counters.skippedTokens.value
        all.loadedBytes = ByteCount(counters.loadedBytes.value)
        all.loadTime = .nanoseconds(Int64(clamping: counters.loadNanoseconds.value))
        all.savedTime = .nanoseconds(Int64(clamping: counters.savedNanoseconds.value))
        all.insertedPages = counters.insertedPages.value
        let spilled = writer.statistics
        all.spilledPages = spilled.spilledPages
        all.spilledRawBytes = ByteCount(spilled.rawBytes)
        all.spilledEncodedBytes = ByteCount(spilled.encodedBytes)
        all.droppedPages = spilled.droppedPages + spilled.failedPages
        all.orphanPages = spilled.orphanPages + counters.orphanPages.value
        let ram = hot.statistics
        all.hotEvictions = UInt64(ram.evicted)
        all.hotBytes = ram.usedBytes
        all.damagedPages = UInt64(cold.damagedPages) + counters.damagedPages.value
        all.remote = remote?.statistics
        return all
    }
}
