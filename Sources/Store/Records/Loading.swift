// One batch of loads in progress: every frame of every page is a separate piece of work.
//
// For an engine that wants to know when layers are ready, frames are begun layer by layer across all pages. So the
// first layers of the whole prefix are ready first, and the engine computes layer i while layer i + 1 is still being
// decoded. For all other engines frames are begun page by page, in the order in which they lie in the file.

internal import KVFormat
internal import PageCodec
internal import Threads

/// The records of a batch of loads, and the state of their frames. Thread-safe.
final class Loading: Sendable {
    /// A page that is not encoded is one piece.
    static let whole = -1

    /// One frame of one page, or a whole page.
    struct Piece {
        let page: Int
        let frame: Int
    }

    /// The state of the pieces so far.
    private struct State {
        var failures: [Int: RecordDamage] = [:]
        var firstGivenUp = Int.max
        var progress: LayerProgress
    }

    private let pages: [HeldLoad]
    private let layout: KVLayout
    let pieces: [Piece]
    private let state: Guarded<State>
    private let isCancelled: (@Sendable () -> Bool)?
    /// What measures the tier's reading; nil for pages that are in memory.
    private let rate: ReadRate?
    private let tally: ReadTally?

    /// Valid as long as the pages are lent. The loading ends before that.
    init(_ pages: [HeldLoad], _ layout: KVLayout, _ control: LoadControl, _ rate: ReadRate?) {
        self.pages = pages
        self.layout = layout
        self.rate = rate
        tally = control.tally
        isCancelled = control.isCancelled
        var pieces: [Piece] = []
        for index in pages.indices {
            guard case .record(let record) = pages[index].content else {
                pieces.append(Piece(page: index, frame: Self.whole))
                continue
            }
            for frame in 0..<record.frameCount
            where pages[index].load.target.memory.wants(planes: record.planes(ofFrame: frame)) {
                pieces.append(Piece(page: index, frame: frame))
            }
        }
        if control.onLayersReady != nil {
            let planes = pieces.map { piece in
                if case .record(let record) = pages[piece.page].content {
                    record.planes(ofFrame: piece.frame).lowerBound
                } else {
                    0
                }
            }
            pieces = pieces.indices
                .sorted { (planes[$0], pieces[$0].page) < (planes[$1], pieces[$1].page) }
                .map { pieces[$0] }
        }
        self.pieces = pieces
        state = Guarded(
            State(progress: LayerProgress(layout, pages: pages.count, control.onLayersReady)))
    }

    /// Decodes piece `index` into its target. Any number of pieces may be decoded at once.
    func decode(_ index: Int, with decoder: FrameLoader) {
        let piece = pieces[index]
        let page = pages[piece.page]
        if let isCancelled, isCancelled() {
            state.withLock { $0.firstGivenUp = min($0.firstGivenUp, piece.page) }
            return
        }
        // A page that has failed is a miss, whatever its other frames hold.
        guard state.withLock({ $0.failures[piece.page] == nil }) else { return }
        switch page.content {
        case .record(let record): decode(piece, of: record, page.load, with: decoder)
        case .raw(let source, _):
            page.load.target.copy(tokens: page.load.tokens, from: source, layout)
            note(0..<layout.planeCount)
        case .none: preconditionFailure("a page that is not there is not loaded")
        }
    }

    private func decode(_ piece: Piece, of held: RecordBytes, _ load: RecordLoad, with decoder: FrameLoader) {
        let record = held.view
        do throws(RecordDamage) {
            rate?.fetch(record.uncheckedBytes(ofFrame: piece.frame), tally)
            try decoder.load(frame: piece.frame, of: record, tokens: load.tokens, layout, into: load.target)
        } catch {
            state.withLock { $0.failures[piece.page] = $0.failures[piece.page] ?? error }
            return
        }
        note(record.planes(ofFrame: piece.frame))
    }

    private func note(_ planes: Range<Int>) {
        let ready = state.withLock { $0.progress.note(planes) }
        ready?()
    }

    /// The pages that cannot be trusted, and why.
    var damage: [Int: RecordDamage] { state.withLock { $0.failures } }

    /// How many of the first pages are complete in their targets, after every piece has been decoded or given up.
    var delivered: Int { state.withLock { min(pages.count, $0.firstGivenUp, $0.failures.keys.min() ?? .max) } }
}

/// Which layers are complete in all pages.
struct LayerProgress {
    /// For each layer, how many planes are still missing in all pages.
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
    /// - Returns: the call to make, with no lock held, if more of the first layers are complete than before.
    mutating func note(_ planes: Range<Int>) -> (() -> Void)? {
        guard let onReady else { return nil }
        for plane in planes { missing[layout.layer(ofPlane: plane)] -= 1 }
        let before = ready
        while ready < missing.count, missing[ready] == 0 { ready += 1 }
        let now = ready
        return now > before ? { onReady(now) } : nil
    }
}
