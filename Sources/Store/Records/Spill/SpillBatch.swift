// A batch between the two threads of the spill writer.

internal import KVFormat
internal import PageCodec

/// Pages that were taken from the queue together: encoded, or refused because the disk has just failed.
struct SpillBatch: Sendable {
    /// The pages in the order in which they came.
    let jobs: [SpillJob]
    /// Those of them that were stored already when the encoding thread looked.
    let known: Set<PrefixHash>
    /// The records of those that are to be written, in the same order; nil where there is nothing to write.
    let encoded: [SpillPage?]
    /// Whether the disk is to be left alone.
    let isRefused: Bool

    /// What is to be written.
    var pages: [SpillPage] { encoded.compactMap { $0 } }

    /// What became of each page, in the order of the jobs.
    ///
    /// - Parameter outcomes: those of `pages`; nil when none of them was written.
    func finished(_ outcomes: [SpillOutcome]?) -> [FinishedJob] {
        var index = 0
        return zip(jobs, encoded).map { job, page in
            if !job.isForDisk { return FinishedJob(job: job, outcome: .kept, bytes: 0) }
            if known.contains(job.name.hash) { return FinishedJob(job: job, outcome: .alreadyThere, bytes: 0) }
            guard let outcomes, let page else { return FinishedJob(job: job, outcome: .failed, bytes: 0) }
            defer { index += 1 }
            return FinishedJob(job: job, outcome: outcomes[index], bytes: page.byteCount)
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
