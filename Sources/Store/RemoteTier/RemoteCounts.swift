// What a tier has done, in numbers that many threads add to.

internal import Threads

/// The numbers of a tier.
final class RemoteCounts: Sendable {
    let questions = Counter()
    let late = Counter()
    let fetchedPages = Counter()
    let fetchedBytes = Counter()
    let damagedPages = Counter()
    let putPages = Counter()
    let putBytes = Counter()
}

/// What a tier has done so far. Each number is exact; together they are no snapshot.
package struct RemoteTierStatistics: Sendable {
    /// Questions that were sent for them; fewer when answers were remembered.
    package let questions: UInt64
    /// Questions that had no answer in time.
    package let late: UInt64
    /// Pages that were fetched.
    package let fetchedPages: UInt64
    /// Bytes of their values.
    package let fetchedBytes: UInt64
    /// Values that could not be trusted.
    package let damagedPages: UInt64
    /// Pages that were put.
    package let putPages: UInt64
    /// Bytes of their records.
    package let putBytes: UInt64

    init(_ counts: RemoteCounts) {
        questions = counts.questions.value
        late = counts.late.value
        fetchedPages = counts.fetchedPages.value
        fetchedBytes = counts.fetchedBytes.value
        damagedPages = counts.damagedPages.value
        putPages = counts.putPages.value
        putBytes = counts.putBytes.value
    }
}

extension RemoteTier {
    /// What the tier has done so far.
    package var statistics: RemoteTierStatistics { RemoteTierStatistics(counts) }
}
