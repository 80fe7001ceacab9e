// One batch of loads under way: every frame of every page is a piece of work of its own.
//
// For an engine that wants to hear of its layers, frames are begun layer by layer across all pages, so that the first layers
// of the whole prefix are there first: it computes layer i while layer i + 1 is still being decoded. For all others they are
// begun page by page, in the order in which they lie in the file.

internal import KVFormat
internal import PageCodec
internal import Threads

/// The records of a batch of loads, checked, and what has become of their frames. Thread-safe.
final class Loading: @unchecked Sendable {
    // Unchecked because `failures` and `progress` are touched under `mutex`; all else is set before the frames are begun.

    /// One page: where its record lies in the map, and where it goes.
    @safe
    struct Page {
        let load: ColdLoad
        /// The value in the map; it stays valid for as long as the read transaction, which outlives the loading.
        let record: UnsafeRawBufferPointer
        /// The planes of each frame.
        let planes: [Range<Int>]
    }

    /// One frame of one page.
    struct Piece {
        let page: Int
        let frame: Int
    }

    private let layout: KVLayout
    private let pages: [Page]
    let pieces: [Piece]
    private let mutex = Mutex()
    private var failures: [Int: RecordDamage] = [:]
    private var firstGivenUp = Int.max
    private let isCancelled: (@Sendable () -> Bool)?
    private var progress: LayerProgress
    private let rate: ReadRate

    init(_ pages: [Page], _ layout: KVLayout, _ control: LoadControl, _ rate: ReadRate) {
        self.rate = rate
        isCancelled = control.isCancelled
        self.layout = layout
        self.pages = pages
        var pieces: [(plane: Int, piece: Piece)] = []
        for index in pages.indices {
            let planes = pages[index].planes
            pieces += planes.indices.map { (planes[$0].lowerBound, Piece(page: index, frame: $0)) }
        }
        if control.onLayersReady != nil {
            pieces.sort { ($0.plane, $0.piece.page) < ($1.plane, $1.piece.page) }
        }
        self.pieces = pieces.map(\.piece)
        progress = LayerProgress(layout, pages: pages.count, control.onLayersReady)
    }

    /// Decodes piece `index` into its target. Any number of pieces may be decoded at once.
    func decode(_ index: Int, with decoder: RecordDecoder) {
        let piece = pieces[index]
        let page = pages[piece.page]
        if let isCancelled, isCancelled() {
            mutex.withLock { firstGivenUp = min(firstGivenUp, piece.page) }
            return
        }
        // A page that has failed is a miss whatever its other frames hold.
        guard mutex.withLock({ failures[piece.page] == nil }) else { return }
        do throws(RecordDamage) {
            let bytes = unsafe page.record.bytes
            let record = try RecordView(bytes, key: page.load.hash, layout: layout, tokens: page.load.tokenCount)
            rate.fetch(record.uncheckedBytes(ofFrame: piece.frame))
            try decoder.decode(frame: piece.frame, of: record, tokens: page.load.tokens, into: page.load.target)
        } catch {
            mutex.withLock { failures[piece.page] = failures[piece.page] ?? error }
            return
        }
        let ready = mutex.withLock { progress.note(page.planes[piece.frame]) }
        ready?()
    }

    /// The pages that cannot be trusted, and why.
    var damage: [Int: RecordDamage] { mutex.withLock { failures } }

    /// How many of the first pages are whole in their targets, once every piece has been decoded or given up.
    var delivered: Int { mutex.withLock { min(pages.count, firstGivenUp, failures.keys.min() ?? .max) } }
}

/// What a caller wants to hear of a load while it runs, and to say to it.
package struct LoadControl: Sendable {
    /// Called with a rising number of layers that are complete in all pages, from any of the loading threads.
    package var onLayersReady: (@Sendable (Int) -> Void)?
    /// Asked before each frame, from any of the loading threads; true ends the load early.
    package var isCancelled: (@Sendable () -> Bool)?

    /// Neither, or what is given.
    package init(
        onLayersReady: (@Sendable (Int) -> Void)? = nil, isCancelled: (@Sendable () -> Bool)? = nil
    ) {
        self.onLayersReady = onLayersReady
        self.isCancelled = isCancelled
    }
}

/// Which layers are there in all pages.
struct LayerProgress {
    /// Planes that are still missing of each layer, in all pages.
    private var missing: [Int]
    private let layout: KVLayout
    private var ready = 0
    private let onReady: (@Sendable (Int) -> Void)?

    init(_ layout: KVLayout, pages: Int, _ onReady: (@Sendable (Int) -> Void)?) {
        self.layout = layout
        missing = onReady == nil ? [] : [Int](repeating: 0, count: layout.layers)
        for plane in 0..<(onReady == nil ? 0 : layout.planeCount) { missing[layout.layer(ofPlane: plane)] += pages }
        self.onReady = onReady
    }

    /// Notes that one page has these planes.
    ///
    /// - Returns: the call to make, outside of any lock, when more layers from the first on are complete than before.
    mutating func note(_ planes: Range<Int>) -> (() -> Void)? {
        guard let onReady else { return nil }
        for plane in planes { missing[layout.layer(ofPlane: plane)] -= 1 }
        let before = ready
        while ready < missing.count, missing[ready] == 0 { ready += 1 }
        let now = ready
        return now > before ? { onReady(now) } : nil
    }
}
