// A batch between the two threads of the spill writer.

internal import KVFormat
internal import PageCodec

/// Pages that were taken from the queue together: encoded, or refused because the disk has just failed.
struct SpillBatch: Sendable {
    /// The pages in the order in which they came.
    let jobs: [SpillJob]
    /// Those of them that were stored already when the encoding thread looked.
    let known: Set<PrefixHash>
    /// The others, encoded; nil when the batch is refused.
    let encoded: [SpillPage]?

    /// What became of each page, in the order of the jobs.
    ///
    /// - Parameter outcomes: those of the encoded pages; nil when none of them was written.
    func finished(_ outcomes: [SpillOutcome]?) -> [FinishedJob] {
        var index = 0
        return jobs.map { job in
            if known.contains(job.name.hash) { return FinishedJob(job: job, outcome: .alreadyThere, bytes: 0) }
            defer { index += 1 }
            guard let outcomes, let encoded else { return FinishedJob(job: job, outcome: .failed, bytes: 0) }
            return FinishedJob(job: job, outcome: outcomes[index], bytes: encoded[index].record.byteCount)
        }
    }
}

/// A job that is done.
struct FinishedJob {
    let job: SpillJob
    let outcome: SpillOutcome
    /// Bytes of its record.
    let bytes: Int
}
