// Encodes one batch from page bytes to records, with several threads, into memory that earlier batches used.

internal import KVFormat
internal import PageCodec
internal import Threads

/// Encodes batches, and keeps the memory of the records for later batches. One thread encodes; any thread may give
/// memory back.
final class BatchEncoder: Sendable {
    private let team: Team
    private let roomLimit: Int
    private let spare = Guarded<[EncodedRecord]>([])
    private let encode: @Sendable (SpillJob, EncodedRecord) -> Void

    /// From this many raw bytes on it pays to wake other threads: encoding less takes about as long as waking them.
    private static let sharedBytes = 256 << 10

    init(_ options: SpillOptions, encode: @escaping @Sendable (SpillJob, EncodedRecord) -> Void) {
        team = Team(helpers: options.encoders - 1, priority: .background)
        roomLimit = 2 * Int(clamping: options.batchBytes.value)
        self.encode = encode
    }

    /// Encodes `jobs` and returns their pages in the same order. The pages are valid until they are passed to `reuse`.
    func pages(_ jobs: [SpillJob]) -> [SpillPage] {
        let records = takeRecords(jobs.count)
        let encode = encode
        let bytes = jobs.reduce(0) { $0 + $1.rawBytes }
        // One thread of the team writes each record. The team's lock makes all of them visible before the loop returns.
        team.forEach(jobs.count, isShared: bytes >= Self.sharedBytes) { encode(jobs[$0], records[$0]) }
        return jobs.indices.map { SpillPage(jobs[$0], records[$0]) }
    }

    private func takeRecords(_ count: Int) -> [EncodedRecord] {
        spare.withLock { spare in
            let used = min(count, spare.count)
            let records = Array(spare.suffix(used))
            spare.removeLast(used)
            return records + (used..<count).map { _ in EncodedRecord() }
        }
    }

    /// Takes the records back when nobody reads the pages any more. Memory beyond that of two batches is freed.
    func reuse(_ pages: [SpillPage]) {
        spare.withLock { spare in
            var room = 0
            spare = (spare + pages.map(\.record)).filter { record in
                room += record.capacity
                return room <= roomLimit
            }
        }
    }

    /// Ends the helping threads.
    func close() { team.close() }
}
