// The spill writer of a cold tier: what "encode" and "commit" are there.

package import KVFormat
internal import PageCodec

extension SpillWriter {
    /// A writer that stores pages in `tier`, encoded as `codec` says.
    package convenience init(into tier: ColdTier, codec: StoreCodec, options: SpillOptions) {
        let encoder = ThreadConfined(RecordEncoder())
        let choice = CodecChoice(codec)
        self.init(
            options: options,
            encode: { job in
                encoder.value.encode(
                    page: job.source, tokens: job.tokens.count, layout: job.layout, key: job.hash, codec: choice)
            },
            commit: { pages throws(StoreError) in try tier.put(pages).outcomes.map { SpillOutcome($0) } })
    }
}

extension CodecChoice {
    /// The encoder's word for what an engine asks for.
    package init(_ codec: StoreCodec) {
        switch codec {
        case .raw: self = .raw
        case .zstd: self = .zstd
        case .kbit: self = .kbit
        }
    }
}

/// A value that one thread uses at a time, by its owner's promise: here the writer's thread alone encodes.
private final class ThreadConfined<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}
