// Encodes one batch from page bytes to records, with several threads, into memory that earlier batches used.

internal import KVFormat
internal import PageCodec
internal import Threads

/// Encodes batches, and keeps the memory of the records for later ones. Any thread may encode and give memory back.
final class BatchEncoder: Sendable {
    private let team: Team
    private let roomLimit: Int
    private let spare = Guarded<[EncodedRecord]>([])
    private let encode: @Sendable (SpillJob, EncodedRecord) -> Void

    init(_ options: SpillOptions, encode: @escaping @Sendable (SpillJob, EncodedRecord) -> Void) {
        team = Team(helpers: options.encoders - 1, priority: .background)
        roomLimit = 2 * Int(clamping: options.batchBytes.value)
        self.encode = encode
    }

    /// Encodes `jobs`.
    ///
    /// - Parameter known: pages that are encoded only if they are to be kept in memory.
    /// - Returns: for each job the page to write; nil when it is not to be written, or its page is not there any more.
    ///   A page that keeps its own record is written from that. The pages are valid until they are passed to `reuse`.
    func pages(_ jobs: [SpillJob], without known: Set<PrefixHash>) -> [SpillPage?] {
        let made = Guarded<[Int: EncodedRecord]>([:])
        let bytes = jobs.reduce(0) { $0 + $1.rawBytes }
        team.forEach(jobs.count, isShared: bytes >= SpillOptions.sharedBytes) { index in
            guard jobs[index].isToBeKept || !known.contains(jobs[index].name.hash) else { return }
            if let record = record(of: jobs[index]) { made.withLock { $0[index] = record } }
        }
        let records = made.withLock { $0 }
        return jobs.indices.map { index -> SpillPage? in
            let isWanted = jobs[index].isForDisk && !known.contains(jobs[index].name.hash)
            if let record = records[index] {
                if isWanted { return SpillPage(jobs[index], made: record) }
                give([record])
            } else if isWanted, case .held(let page) = jobs[index].content, case .record(let record) = page.content {
                return SpillPage(jobs[index], kept: record)
            }
            return nil
        }
    }

    /// Encodes the page of a job. Nil when the page keeps its record itself, or is not there any more.
    private func record(of job: SpillJob) -> EncodedRecord? {
        guard case .held(let page) = job.content else {
            let record = takeRecord()
            encode(job, record)
            return record
        }
        guard case .raw(let source, let owner) = page.content else { return nil }
        let record = takeRecord()
        encode(job.with(source, owner), record)
        guard page.keep(RecordBytes(record)) else { return record }
        give([record])
        return nil
    }

    /// Encodes one page on the calling thread, and has it keep its record.
    func settle(_ job: SpillJob) {
        if let record = record(of: job) { give([record]) }
    }

    /// Encodes one page on the calling thread. The record is valid during the call of `body`.
    func withRecord<R>(of job: SpillJob, _ body: (RecordBytes) -> R) -> R {
        let record = takeRecord()
        defer { give([record]) }
        encode(job, record)
        return body(RecordBytes(record))
    }

    private func takeRecord() -> EncodedRecord { spare.withLock { $0.popLast() } ?? EncodedRecord() }

    /// Takes the records back when nobody reads the pages any more. Memory beyond that of two batches is freed.
    func reuse(_ pages: [SpillPage]) {
        give(pages.compactMap(\.made))
    }

    private func give(_ records: [EncodedRecord]) {
        spare.withLock { spare in
            spare += records
            var room = 0
            spare = spare.filter { record in
                room += record.capacity
                return room <= roomLimit
            }
        }
    }

    /// Ends the helping threads.
    func close() { team.close() }
}
