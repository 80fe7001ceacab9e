// Answers that said no, for a moment: a prompt that comes again and again costs one question per moment.

internal import KVFormat
internal import Threads

/// Pages that were not there a moment ago. Thread-safe.
final class MissMemory: Sendable {
    /// Answers that are kept at most; when there are more, all are forgotten.
    private static let limit = 65_536
    private let nanoseconds: UInt64
    private let until = Guarded<[PrefixHash: UInt64]>([:])

    /// A memory that lasts for `duration`.
    init(_ duration: Duration) { nanoseconds = UInt64(max(0, duration.nanoseconds)) }

    /// How many of these pages, from the first on, may be there.
    func leadingUnknown(_ hashes: [PrefixHash]) -> Int {
        let now = SystemClock.monotonicNanoseconds()
        return until.withLock { until in
            guard !until.isEmpty else { return hashes.count }
            return hashes.firstIndex { until[$0].map { $0 > now } ?? false } ?? hashes.count
        }
    }

    /// Notes that a page is not there.
    func note(_ hash: PrefixHash) {
        let end = SystemClock.monotonicNanoseconds() + nanoseconds
        until.withLock { until in
            if until.count >= Self.limit { until = [:] }
            until[hash] = end
        }
    }

    /// Forgets pages, which this process has just put there.
    func forget(_ hashes: some Sequence<PrefixHash>) {
        until.withLock { until in for hash in hashes { until[hash] = nil } }
    }
}
