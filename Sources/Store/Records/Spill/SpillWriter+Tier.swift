// The spill writer of a tier: what "known", "encode" and "commit" mean for it.

package import KVFormat
internal import PageCodec
internal import Threads

extension SpillWriter {
    /// A writer that stores pages in `tier`, encoded with `codec`. With `auto`, it assumes loads at `rate`.
    package convenience init(
        into tier: any RecordTier, codec: StoreCodec, readingAt rate: ReadRate, options: SpillOptions
    ) {
        let encoders = Pool { RecordEncoder() }
        self.init(
            options: options,
            known: { jobs in
                // A failed look-up finds no page; the commit meets the same failure and reports it.
                (try? tier.held(jobs.map(\.name.hash), usedAt: jobs.lazy.map(\.insertedAt).max())) ?? []
            },
            encode: { job, record in
                let codec = codec.choice(readingAt: rate)
                encoders.withItem { encoder in
                    switch job.content {
                    case .page(let source):
                        encoder.encode(
                            page: source, tokens: job.name.tokens.count, layout: job.layout, key: job.name.hash,
                            codec: codec, seal: job.name.seal, into: record)
                    case .held: preconditionFailure("a page is encoded from its bytes")
                    case .block(let block):
                        encoder.encode(
                            block: block.bytes, element: job.layout.element ?? .opaque, key: job.name.hash,
                            codec: codec, seal: job.name.seal, into: record)
                    }
                }
            },
            commit: { pages throws(StoreError) in
                let records = pages.map { PageRecord($0.name, $0.bytes, lastUse: $0.insertedAt) }
                return try tier.take(records).map { SpillOutcome($0) }
            })
    }
}
