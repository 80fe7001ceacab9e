// One batch on its way from page bytes to records: what is stored already is left out, the rest is encoded by several threads.

internal import KVFormat
internal import PageCodec
internal import Threads

/// Encodes batches, and keeps the records' memory for the next one. One batch at a time: the writer's thread calls it.
final class BatchEncoder: @unchecked Sendable {
    // Unchecked because `spare` is touched by the writer's thread alone; each record is written by one thread of the team,
    // and the team's lock hands all of them over before the loop returns.
    private let team: Team
    private let roomLimit: Int
    private var spare: [EncodedRecord] = []
    private let encode: @Sendable (SpillJob, EncodedRecord) -> Void

    /// Raw bytes from which on it pays to wake other threads: encoding less takes about as long as waking them.
    private static let sharedBytes = 256 << 10

    init(_ options: SpillOptions, encode: @escaping @Sendable (SpillJob, EncodedRecord) -> Void) {
        team = Team(helpers: options.encoders - 1)
        roomLimit = 2 * Int(clamping: options.batchBytes.value)
        self.encode = encode
    }

    /// Encodes `jobs`, in any order; the pages come back in theirs. They are valid until `reuse`.
    func pages(_ jobs: [SpillJob]) -> [SpillPage] {
        while spare.count < jobs.count { spare.append(EncodedRecord()) }
        let records = spare
        let encode = encode
        if jobs.reduce(0, { $0 + $1.rawBytes }) < Self.sharedBytes {
            for index in jobs.indices { encode(jobs[index], records[index]) }
        } else {
            team.forEach(jobs.count) { encode(jobs[$0], records[$0]) }
        }
        return jobs.indices.map { SpillPage(jobs[$0], records[$0]) }
    }

    /// Takes the records back: nobody reads the pages any more. What is more than two batches' worth of memory is freed.
    func reuse() {
        var room = 0
        let kept = spare.prefix { record in
            room += record.capacity
            return room <= roomLimit
        }
        spare = Array(kept)
    }

    /// Ends the helping threads.
    func close() { team.close() }
}
