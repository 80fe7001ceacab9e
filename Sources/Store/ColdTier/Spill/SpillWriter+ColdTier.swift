// The spill writer of a cold tier: what "known", "encode" and "commit" are there.

package import KVFormat
internal import LMDB
internal import PageCodec
internal import Threads

extension SpillWriter {
    /// A writer that stores pages in `tier`, encoded as `codec` says.
    package convenience init(into tier: ColdTier, codec: StoreCodec, options: SpillOptions) {
        let encoders = Pool { RecordEncoder() }
        let memory = TransactionMemory(options.batchBytes)
        self.init(
            options: options,
            known: { jobs in
                // A look-up that fails is no answer; the commit meets the same trouble and reports it.
                guard let known = try? tier.known(jobs.map(\.name.hash)) else { return [] }
                for job in jobs where known.contains(job.name.hash) {
                    tier.touch([job.name.hash], now: job.insertedAt, as: .insert)
                }
                return known
            },
            encode: { job, record in
                encoders.withItem {
                    $0.encode(
                        page: job.source, tokens: job.name.tokens.count, layout: job.layout, key: job.name.hash,
                        codec: tier.choice(codec), into: record)
                }
            },
            commit: { pages throws(StoreError) in
                memory.reserve()
                return try tier.put(pages).outcomes.map { SpillOutcome($0) }
            })
    }
}

/// The memory of the writing thread's transactions, kept from one to the next. Used by that thread alone.
private final class TransactionMemory: @unchecked Sendable {
    // Unchecked because one thread uses it.
    private let byteCount: Int
    private var held: HeapReserve?

    /// For batches of `batchBytes` that gain nothing by encoding: the slot of a record is a little larger than it is. More would
    /// not fit into one of glibc's heaps.
    init(_ batchBytes: ByteCount) { byteCount = Int(min(batchBytes.value, 48 << 20) / 8 * 9) }

    /// Called in every batch: the reserve is that of the calling thread's heap.
    func reserve() { if held == nil { held = HeapReserve(byteCount: byteCount) } }
}
