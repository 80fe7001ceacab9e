// What a store's remote has done since this process opened the store.

internal import RemoteTier
internal import Threads

/// What a store's remote has done, and how it is. Each number is exact; together they are no snapshot.
public struct RemoteStatistics: Hashable, Sendable {
    /// Where it is: scheme and servers of the URL.
    public internal(set) var url = ""
    /// What is wrong now with servers, or with what is put there, as one clause each; none when all is well.
    public internal(set) var faults: [String] = []
    /// Questions that look-ups asked.
    public internal(set) var questions: UInt64 = 0
    /// Questions that had no answer within `RemoteOptions.lookupTime`.
    public internal(set) var lateQuestions: UInt64 = 0
    /// Pages that came from it.
    public internal(set) var fetchedPages: UInt64 = 0
    /// Bytes of those.
    public internal(set) var fetchedBytes = ByteCount.zero
    /// Pages that came from it and were kept on this host: in RAM, on its disk or on their way there.
    public internal(set) var keptPages: UInt64 = 0
    /// Values that it had under a page's key and that could not be trusted.
    public internal(set) var damagedPages: UInt64 = 0
    /// Pages that were put there.
    public internal(set) var putPages: UInt64 = 0
    /// Bytes of those.
    public internal(set) var putBytes = ByteCount.zero
    /// Pages that are on this host's disk and wait to be put: they are not there yet.
    public internal(set) var waitingPages: UInt64 = 0
    /// Pages that were not put because too many waited.
    public internal(set) var droppedPages: UInt64 = 0
    /// Pages that it did not take, because it is full.
    public internal(set) var refusedPages: UInt64 = 0
}

extension RemoteLink {
    var statistics: RemoteStatistics {
        let counts = tier.statistics
        var all = RemoteStatistics()
        all.url = tier.shownURL
        all.faults = tier.faults
        // A server that is well may still not take what is put.
        if all.faults.isEmpty, let failure = uploader.failure {
            all.faults = if case .remoteFailure(_, let what, _) = failure { [what] } else { [failure.description] }
        }
        all.questions = counts.questions
        all.lateQuestions = counts.late
        all.fetchedPages = counts.fetchedPages
        all.fetchedBytes = ByteCount(counts.fetchedBytes)
        all.keptPages = keptPages.value
        all.damagedPages = counts.damagedPages
        all.putPages = counts.putPages
        all.putBytes = ByteCount(counts.putBytes)
        all.waitingPages = UInt64(uploader.waitingPages)
        all.droppedPages = uploader.droppedPages
        all.refusedPages = uploader.refusedPages
        return all
    }
}

extension Store {
    /// Waits until the pages that were flushed are on the remote too, for `limit` at most. `flush()` does not wait for
    /// the remote: what is on disk is safe without it.
    ///
    /// - Returns: whether none waits any more. True without a remote. A page that the remote does not take, or for
    ///   which the queue had no room, does not wait: `StoreStatistics.remote` counts those.
    /// - Throws: `.closed`, `.forked`.
    public func flushRemote(within limit: Duration) throws(StoreError) -> Bool {
        try checkOpen()
        return remote?.uploader.drain(before: .after(limit)) ?? true
    }
}
