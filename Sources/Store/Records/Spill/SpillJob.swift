// One page or block on its way down, and what became of it.

package import KVFormat
internal import PageCodec

/// A page or block that waits to be encoded and written. Its bytes must not change until `onDone` has been called.
package struct SpillJob: Sendable {
    /// The page.
    package let name: PageName
    /// Shape of the page.
    package let layout: KVLayout
    /// When the page was inserted, milliseconds since the Unix epoch.
    package let insertedAt: Int64
    /// Where its bytes are.
    package let content: SpillContent
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
        content = .page(source)
        self.keepAlive = keepAlive
        self.onDone = onDone
    }

    /// Makes the job of a block.
    package init(
        _ name: PageName, block: BlockCopy, layout: KVLayout, insertedAt: Int64,
        onDone: (@Sendable (SpillOutcome) -> Void)? = nil
    ) {
        self.name = name
        self.layout = layout
        self.insertedAt = insertedAt
        content = .block(block)
        keepAlive = nil
        self.onDone = onDone
    }

    /// Bytes before encoding.
    package var rawBytes: Int {
        switch content {
        case .page: layout.pageBytes(tokens: name.tokens.count)
        case .block(let block): block.byteCount
        }
    }
}

/// What a job has to encode.
package enum SpillContent: Sendable {
    /// The planes of a page, which `SpillJob.keepAlive` keeps.
    case page(PageSource)
    /// A block, which keeps its own bytes.
    case block(BlockCopy)
}

/// A block's bytes in memory of its own, for as long as the spill queue needs them.
@safe
package final class BlockCopy: @unchecked Sendable {
    // Unchecked because the bytes are written once, in `init`.
    private let base: UnsafeMutableRawPointer
    /// Bytes of the block.
    package let byteCount: Int

    /// Copies a block.
    package init(_ source: BlockSource) {
        byteCount = source.byteCount
        unsafe base = .allocate(byteCount: max(1, byteCount), alignment: 64)
        unsafe source.copy(to: base)
    }

    deinit { unsafe base.deallocate() }

    /// The bytes.
    package var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: base, count: byteCount))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }
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
