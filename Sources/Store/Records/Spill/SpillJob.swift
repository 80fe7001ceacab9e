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
    /// Whether the page is to be written to the tier, and not only encoded and kept.
    package let isForDisk: Bool
    /// Bytes that it takes of the queue's capacity: those in memory, of what a crash would lose. A page that was
    /// encoded before it came counts as its record.
    let queuedBytes: UInt64
    /// The object that keeps the bytes alive, unless the content does. It is released when the job is done.
    package let keepAlive: (any AnyObject & Sendable)?
    /// Called once on the writer's thread, outside its locks, when the job is done.
    package let onDone: (@Sendable (SpillOutcome) -> Void)?

    /// Makes a job. `source` must have its planes packed.
    package init(
        _ name: PageName, layout: KVLayout, insertedAt: Int64, source: PageSource,
        keepAlive: (any AnyObject & Sendable)?, onDone: (@Sendable (SpillOutcome) -> Void)?
    ) {
        precondition(source.memory.isPacked, "scattered rows cannot be encoded where they lie")
        self.name = name
        self.layout = layout
        self.insertedAt = insertedAt
        content = .page(source)
        isForDisk = true
        queuedBytes = UInt64(layout.pageBytes(tokens: name.tokens.count))
        self.keepAlive = keepAlive
        self.onDone = onDone
    }

    /// Makes the job of a page that is kept in memory meanwhile.
    package init(
        _ name: PageName, page: any HeldPage, layout: KVLayout, insertedAt: Int64, isForDisk: Bool = true,
        onDone: (@Sendable (SpillOutcome) -> Void)?
    ) {
        self.name = name
        self.layout = layout
        self.insertedAt = insertedAt
        content = .held(page)
        self.isForDisk = isForDisk
        var byteCount = layout.pageBytes(tokens: name.tokens.count)
        if case .record(let record) = page.content { byteCount = record.encodedBytes }
        queuedBytes = isForDisk ? UInt64(byteCount) : 0
        keepAlive = nil
        self.onDone = onDone
    }

    /// The same page, whose bytes `owner` keeps.
    func with(_ source: PageSource, _ owner: any AnyObject & Sendable) -> SpillJob {
        SpillJob(name, layout: layout, insertedAt: insertedAt, source: source, keepAlive: owner, onDone: nil)
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
        isForDisk = true
        queuedBytes = UInt64(block.byteCount)
        keepAlive = nil
        self.onDone = onDone
    }

    /// Bytes before encoding.
    package var rawBytes: Int {
        switch content {
        case .page, .held: layout.pageBytes(tokens: name.tokens.count)
        case .block(let block): block.byteCount
        }
    }

    /// Whether it must be encoded even if the tier has the page already: to be kept in memory.
    var isToBeKept: Bool {
        if case .held(let page) = content, case .raw = page.content { true } else { false }
    }
}

/// What a job has to encode.
package enum SpillContent: Sendable {
    /// The planes of a page, which `SpillJob.keepAlive` keeps.
    case page(PageSource)
    /// A page that is kept in memory.
    case held(any HeldPage)
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
    /// It was not meant for the tier: it is kept in memory, if there was room.
    case kept
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
    /// When the page was inserted, milliseconds since the Unix epoch.
    let insertedAt: Int64
    /// Its record, in memory that is reused after the page is written; nil for a page that keeps its own.
    let made: EncodedRecord?
    private let kept: RecordBytes?

    /// The record's bytes.
    var bytes: RecordBytes {
        if let made { return RecordBytes(made) }
        guard let kept else { preconditionFailure("a page has one of the two records") }
        return kept
    }

    /// Bytes of the record.
    var byteCount: Int { made?.byteCount ?? bytes.encodedBytes }

    /// A job whose record was made for it.
    init(_ job: SpillJob, made record: EncodedRecord) {
        name = job.name
        insertedAt = job.insertedAt
        made = record
        kept = nil
    }

    /// A job whose page keeps its own record.
    init(_ job: SpillJob, kept record: RecordBytes) {
        name = job.name
        insertedAt = job.insertedAt
        made = nil
        kept = record
    }
}
