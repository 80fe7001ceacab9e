// One page on its way down, and what became of it.

package import KVFormat
internal import PageCodec

/// A page that waits to be encoded and written. Its bytes must not change until `onDone` has been called.
package struct SpillJob: Sendable {
    /// The page's prefix hash.
    package let hash: PrefixHash
    /// The hash of the page before, or the space root.
    package let parent: PrefixHash
    /// The space root.
    package let root: PrefixHash
    /// Position of the page's first token in the sequence.
    package let firstToken: Int
    /// The page's token ids.
    package let tokens: [TokenID]
    /// Shape of the page.
    package let layout: KVLayout
    /// When the page was inserted, milliseconds since the Unix epoch.
    package let now: Int64
    /// How often it has been used.
    package let uses: Int
    /// Where its bytes are.
    package let source: PageSource
    /// What keeps those bytes alive: a pin of the hot tier, or a copy. Let go when the job is done.
    package let keepAlive: (any AnyObject & Sendable)?
    /// Called once on the writer's thread, outside its locks, when the job is done.
    package let onDone: (@Sendable (SpillOutcome) -> Void)?

    /// Makes a job.
    package init(
        hash: PrefixHash, parent: PrefixHash, root: PrefixHash, firstToken: Int, tokens: [TokenID], layout: KVLayout,
        now: Int64, uses: Int, source: PageSource, keepAlive: (any AnyObject & Sendable)?,
        onDone: (@Sendable (SpillOutcome) -> Void)?
    ) {
        self.hash = hash
        self.parent = parent
        self.root = root
        self.firstToken = firstToken
        self.tokens = tokens
        self.layout = layout
        self.now = now
        self.uses = uses
        self.source = source
        self.keepAlive = keepAlive
        self.onDone = onDone
    }

    /// Bytes of the page before encoding.
    package var rawBytes: Int { layout.pageBytes(tokens: tokens.count) }
}

/// What became of a page on its way down.
package enum SpillOutcome: Hashable, Sendable {
    /// It is on disk and synced.
    case stored
    /// It was there before.
    case alreadyThere
    /// Its parent is not on disk, so it could not be found there.
    case orphan
    /// Writing failed; `flush()` throws the error.
    case failed
    /// The queue was full, or the quota has no room for it.
    case dropped
}

extension SpillOutcome {
    /// What a put says of a page.
    init(_ outcome: PutReport.Outcome) {
        switch outcome {
        case .stored: self = .stored
        case .present: self = .alreadyThere
        case .orphan: self = .orphan
        case .noRoom: self = .dropped
        case .invalid: self = .failed
        }
    }
}

extension SpillPage {
    /// An encoded job.
    init(_ job: SpillJob, _ record: EncodedRecord) {
        self.init(
            hash: job.hash, parent: job.parent, root: job.root, firstToken: job.firstToken, tokens: job.tokens,
            record: record, now: job.now, uses: job.uses)
    }
}
