// Loads records from a tier straight into the caller's memory.

package import KVFormat
internal import PageCodec
package import Threads

/// A page to load.
package struct RecordLoad: Sendable {
    /// Its prefix hash.
    package let hash: PrefixHash
    /// How many tokens to load, from the first on.
    package let tokens: Int
    /// How many tokens the page holds.
    package let tokenCount: Int
    /// The memory to load into, with room for `tokens` tokens.
    package let target: PageTarget
    /// The seal of its space; nil for a space that is not sealed.
    package let seal: SpaceSeal?

    /// A page to load.
    package init(hash: PrefixHash, tokens: Int, tokenCount: Int, target: PageTarget, seal: SpaceSeal? = nil) {
        precondition(tokens >= 1 && tokens <= tokenCount, "a load asks for tokens of its page")
        self.hash = hash
        self.tokens = tokens
        self.tokenCount = tokenCount
        self.target = target
        self.seal = seal
    }
}

/// How a caller follows a load while it runs, and how it can end the load early.
package struct LoadControl: Sendable {
    /// Called with a rising number of layers that are complete in all pages, from any of the loading threads.
    package var onLayersReady: (@Sendable (Int) -> Void)?
    /// Called before each frame, from any of the loading threads; true ends the load early.
    package var isCancelled: (@Sendable () -> Bool)?
    /// Takes part in what is measured of the tier's reading.
    package var tally: ReadTally?

    /// Both closures are optional.
    package init(
        onLayersReady: (@Sendable (Int) -> Void)? = nil, isCancelled: (@Sendable () -> Bool)? = nil,
        tally: ReadTally? = nil
    ) {
        self.onLayersReady = onLayersReady
        self.isCancelled = isCancelled
        self.tally = tally
    }
}

/// Loads pages from any tier of records. The calling thread and those of the team decode the frames, and check them on
/// the way. Thread-safe.
package final class RecordLoader: Sendable {
    /// Raw bytes that are lent at once: enough that lending costs nothing in comparison, and few enough that a tier can
    /// soon reuse the room of what was evicted meanwhile.
    static let lentBytes = 64 << 20

    /// The same for a load that reports its layers, which are complete only when all pages have been lent together.
    private static let layeredBytes = 1 << 30

    /// From this many raw bytes on it pays to wake other threads: decoding or copying less takes no longer than waking
    /// them.
    static let sharedBytes = 512 << 10

    /// How fast records have come into memory.
    package let readRate = ReadRate()
    let team: Team
    let decoders = Pool { FrameLoader() }

    /// A loader.
    ///
    /// - Parameters:
    ///   - team: the threads that help. The code that made the team must close it.
    ///   - decoders: how many decoders to make now, so that the first loads need not make them.
    package init(_ team: Team, decoders count: Int = 0) {
        self.team = team
        decoders.fill(count)
    }

    /// Loads pages and decodes each into its target. Frames are begun page by page, or with the first layers of all
    /// pages if `control` wants to know when they are ready.
    ///
    /// - Parameters:
    ///   - loads: pages of one space. `tokens` must equal `tokenCount` when the layout is opaque.
    ///   - layout: the space's layout.
    ///   - tier: where they are.
    ///   - control: what to tell while it runs. Of more than 1 GiB, layers are ready only in the last part; a damaged
    ///     page stops the telling.
    /// - Returns: how many of the first loads were delivered whole. The rest is not there any more, or is damaged,
    ///   which the tier is told; the targets from the first that failed on may hold some bytes.
    /// - Throws: what kept the tier from answering.
    /// - Complexity: one pass over the encoded bytes.
    package func load(
        _ loads: [RecordLoad], of layout: KVLayout, from tier: any RecordTier, control: LoadControl = LoadControl()
    ) throws(StoreError) -> Int {
        // What is in memory already says nothing of the disk.
        let rate = tier is FetchedRecords ? nil : readRate
        var delivered = 0
        while delivered < loads.count {
            let limit = control.onLayersReady == nil ? Self.lentBytes : Self.layeredBytes
            let batch = Self.batch(loads[delivered...], layout, limit)
            var control = control
            if batch.endIndex < loads.endIndex { control.onLayersReady = nil }
            var count = 0
            let wanted = batch.map { RecordRequest(hash: $0.hash, tokenCount: $0.tokenCount, seal: $0.seal) }
            try tier.lend(wanted, of: layout) { records in
                let pages = zip(batch, records).prefix { $0.1 != nil }.map { load, record in
                    HeldLoad(load, record.map { .record($0) } ?? .none)
                }
                var control = control
                if pages.count < batch.count { control.onLayersReady = nil }
                let loading = deliver(pages, layout, control, rate)
                count = loading.delivered
                return loading.damage
            }
            delivered += count
            guard count == batch.count else { break }
        }
        return delivered
    }

    static func batch(
        _ loads: ArraySlice<RecordLoad>, _ layout: KVLayout, _ limit: Int
    ) -> ArraySlice<RecordLoad> {
        var bytes = 0
        let end = loads.firstIndex { load in
            defer { bytes += layout.pageBytes(tokens: load.tokens) }
            return bytes >= limit
        }
        return loads[..<(end ?? loads.endIndex)]
    }

    /// Decodes or copies pages that stay in place meanwhile.
    func deliver(_ pages: [HeldLoad], _ layout: KVLayout, _ control: LoadControl, _ rate: ReadRate?) -> Loading {
        let loading = Loading(pages, layout, control, rate)
        let bytes = pages.reduce(0) { $0 + layout.pageBytes(tokens: $1.load.tokens) }
        team.forEach(loading.pieces.count, isShared: bytes >= Self.sharedBytes) { index in
            decoders.withItem { loading.decode(index, with: $0) }
        }
        return loading
    }
}
