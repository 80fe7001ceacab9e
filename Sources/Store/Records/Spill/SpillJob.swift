// One page that is to be written to the cold tier, and what became of it.

package import KVFormat
internal import PageCodec

/// A page that waits to be encoded and written. Its bytes must not change until `onDone` has been called.
package struct SpillJob: Sendable {
    /// The page.
    package let name: PageName
    /// Shape of the page.
    package let layout: KVLayout
    /// When the page was inserted, milliseconds since the Unix epoch.
    package let insertedAt: Int64
    /// Where its bytes are.
    package let source: PageSource
    /// The object that keeps those bytes alive: a pin of the hot tier, or a copy. It is released when the job is done.
    package let keepAlive: (any AnyObject & Sendable)?
    /// Called once on the writer's thread, outside its locks, when the job is done.
    package let onDone: (@Sendable (SpillOutcome) -> Void)?

    /// Makes a job.
    package init(
        _ name: PageName, layout: KVLayout, insertedAt: Int64, source: PageSource,
        keepAlive: (any AnyObject & Sendable)?, onDone: (@Sendable (SpillOutcome) -> Void)?
    ) {
        self.name = name
        self.layout = layout
        self.insertedAt = insertedAt
        self.source = source
        self.keepAlive = keepAlive
        self.onDone = onDone
    }

    /// Bytes of the page before encoding.
    package var rawBytes: Int { layout.pageBytes(tokens: name.tokens.count) }
}

/// What became of a page that was to be written.
package enum SpillOutcome: Hashable, Sendable {
    /// It is on disk and synced.
    case stored
    /// It was on disk already.
    case alreadyThere
    /// Its parent is not on disk, so no match could find it there.
    case orphan
    /// Writing failed; `flush()` throws the error.
    case failed
    /// The queue was full, or the quota has no room for it.
    case dropped
}

extension SpillOutcome {
    /// The outcome that a tier reports for a page.
    init(_ outcome: TakeOutcome) {
        switch outcome {
        case .stored: self = .stored
        case .alreadyThere: self = .alreadyThere
        case .orphan: self = .orphan
        case .noRoom: self = .dropped
        case .invalid: self = .failed
        }
    }
}

/// An encoded page that is to be stored in the tier.
struct SpillPage: Sendable {
    /// The page.
    let name: PageName
    /// Its record. The memory is reused after the page is written.
    let record: EncodedRecord
    /// When the page was inserted, milliseconds since the Unix epoch.
    let insertedAt: Int64

    /// An encoded job.
    init(_ job: SpillJob, _ record: EncodedRecord) {
        name = job.name
        insertedAt = job.insertedAt
        self.record = record
    }
}
