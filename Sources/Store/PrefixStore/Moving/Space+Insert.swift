// Insert: new pages into the hot tier, and on their way to the cold one.

internal import ColdTier
internal import HotTier
internal import Records
internal import Threads

/// What an insert did.
public struct Inserted: Hashable, Sendable {
    /// Pages that were new to this process's hot tier, or on their way to disk without it.
    public let newPages: Int
    /// Where the sequence goes on: behind the whole pages that were given. The next insert of the same sequence takes
    /// it.
    public let place: SequencePlace
}

extension Space {
    /// Stores the pages of a sequence behind a place.
    ///
    /// The pages are readable in RAM when the call returns; the store's own thread writes them to disk as the write
    /// policy says, and `flush()` waits for that. Pages that are stored already cost one look-up, so a repeated call is
    /// harmless.
    ///
    /// ```swift
    /// let loaded = try match.load(into: targets)
    /// // compute the KV of prompt[loaded.tokens...], then:
    /// try space.insert(prompt, after: loaded.place) { unsafe PageSource(memory.page($0), capacity: 64) }
    /// ```
    ///
    /// - Parameters:
    ///   - tokens: the sequence from its first token up to the end of the last page to store. The last page is a tail
    ///     when their number is no multiple of the page size; opaque layouts have no tails.
    ///   - place: where to begin: what a load or an insert of the same sequence returned; nil for its first page. The
    ///     tokens before it are hashed and compared with it, so that a place of another sequence is refused.
    ///   - page: the memory of the page with this index in the sequence. It is not used after the call returns.
    /// - Returns: how many pages were new, and where the sequence goes on.
    /// - Throws: `.invalidTokens`, `.invalidPages`, `.closed`. Nothing was stored then.
    /// - Complexity: one SHA-256 per page of the sequence, about 0.2 us for 64 tokens, and one copy of each new page; a
    ///   full spill queue makes it wait if `whenQueueFull` says so.
    @discardableResult
    public func insert(
        _ tokens: ArraySlice<TokenID>, after place: SequencePlace? = nil, page: (_ index: Int) -> PageSource
    ) throws(StoreError) -> Inserted {
        try check(tokens)
        var place = place ?? start
        guard place.root == root, place.tokens <= tokens.count else {
            throw .invalidPages("the place lies in another space, or behind the \(tokens.count) tokens")
        }
        guard layout.isDivisible || tokens.count % layout.pageSize == 0 else {
            throw .invalidPages("an opaque layout has whole pages only")
        }
        // A place of another sequence would store these pages under that sequence's names. A comparison of the last
        // page alone would not tell: sequences of different beginnings may share it.
        guard prefixHash(tokens.prefix(place.tokens)) == place.hash else {
            throw .invalidPages("the place lies in another sequence")
        }
        let first = place.tokens / layout.pageSize
        let end = (tokens.count + layout.pageSize - 1) / layout.pageSize
        let pages = (first..<end).map { page($0) }
        for (index, source) in pages.enumerated() {
            let held = min(layout.pageSize, tokens.count - (first + index) * layout.pageSize)
            let misfit = source.memory.misfit(tokens: held, layout)
            if let misfit { throw .invalidPages("page \(first + index): \(misfit)") }
            guard source.memory.isWhole else { throw .invalidPages("page \(first + index): a plane has no address") }
        }
        var hash = place.hash
        var named: [(name: PageName, source: PageSource)] = []
        for (start, source) in zip(stride(from: place.tokens, to: tokens.count, by: layout.pageSize), pages) {
            let end = min(start + layout.pageSize, tokens.count)
            let name = PageName(
                root: root, parent: hash, firstToken: start, tokens: tokens.prefix(end).dropFirst(start), seal: seal)
            named.append((name, source))
            hash = name.hash
            if end - start == layout.pageSize { place = SequencePlace(root: root, hash: hash, tokens: end) }
        }
        let fresh = insert(named[...], SystemClock.wallMilliseconds())
        store.counters.insertedPages.add(UInt64(fresh))
        return Inserted(newPages: fresh, place: place)
    }

    /// As `insert(_:after:page:)` of a slice, for a whole array.
    @discardableResult
    public func insert(
        _ tokens: [TokenID], after place: SequencePlace? = nil, page: (_ index: Int) -> PageSource
    ) throws(StoreError) -> Inserted {
        try insert(tokens[...], after: place, page: page)
    }

    /// Stores pages, each behind the one before it, and says how many are new to this process's hot tier, or on their
    /// way to disk without it.
    ///
    /// They are copied into the staging memory as long as it has room, because that takes least of the caller's time.
    /// It would only be in the way of pages that are many more: the caller has to encode most of them in any case.
    func insert(_ pages: ArraySlice<(name: PageName, source: PageSource)>, _ now: Int64) -> Int {
        var fresh = 0
        for (index, page) in zip(pages.indices, pages) {
            let bytes = (pages.endIndex - index).multipliedReportingOverflow(by: layout.bytesPerPage)
            let isSmall = !bytes.overflow && bytes.partialValue <= Store.stagingCapacity.value
            let (outcome, pin) = hot.stage(page.name, source: page.source, now: now, copies: isSmall)
            switch outcome {
            case .inserted:
                withExtendedLifetime(pin) { if let pin { sendDown(pin) } }
                fresh += 1
            case .alreadyThere: break
            // Nothing behind a page that is missing is there.
            case .notStaged: return fresh + insertEncoded(pages[index...], now)
            case .noRoom, .orphan: fresh += spillWithoutHotPage(page.name, page.source, now) ? 1 : 0
            }
        }
        return fresh
    }

    /// Has a page encoded, and written if the policy says so.
    private func sendDown(_ pin: SpillPin) {
        if isForDisk(pin.hash) {
            store.spiller.spill(pathTo: pin.hash)
        } else {
            store.spiller.encode(pin)
        }
    }

    /// Whether a page that is in RAM now goes to disk at once.
    func isForDisk(_ page: PrefixHash) -> Bool {
        store.options.writePolicy != .writeBack && store.spiller.use([page]) != nil
    }

    /// Stores a page whose record is at hand.
    ///
    /// - Returns: whether it is new to this process's hot tier, or on its way to disk without it.
    func insert(_ page: PageName, record: RecordBytes, _ now: Int64, waits: Bool = true) -> Bool {
        switch hot.insert(page, record: record.bytes, now: now, isStored: false) {
        case .inserted:
            if isForDisk(page.hash) {
                store.spiller.spill(pathTo: page.hash, isAlwaysTaken: !waits)
            }
            return true
        case .alreadyThere: return false
        case .noRoom, .orphan, .notStaged: return spillWithoutHotPage(page, record, now)
        }
    }

    /// Keeps a page that came from the remote: in RAM, unless the engine has a tier there itself, and on its way to
    /// disk. So it is there, or before them in the queue, when the pages behind it are inserted.
    ///
    /// - Parameter record: all of it has been checked.
    /// - Parameter deadline: until when it waits for room in the queue, if the options say that inserts do.
    func keep(_ page: PageName, record: RecordBytes, _ now: Int64, before deadline: Deadline?) -> Bool {
        store.options.promotes == false
            ? spillWithoutHotPage(page, record, now, before: deadline) : insert(page, record: record, now, waits: false)
    }

    /// A page that the hot tier cannot take goes straight to disk from a copy.
    func spillWithoutHotPage(_ page: PageName, _ source: PageSource, _ now: Int64) -> Bool {
        spillWithoutHotPage(page, before: nil) {
            let copy = QueuedPage(source, tokens: page.tokens.count, layout)
            return SpillJob(
                page.detached, layout: layout, insertedAt: now, source: copy.source, keepAlive: copy, onDone: nil)
        }
    }

    /// As above, of a copy of its record.
    func spillWithoutHotPage(
        _ page: PageName, _ record: RecordBytes, _ now: Int64, before deadline: Deadline? = nil
    ) -> Bool {
        spillWithoutHotPage(page, before: deadline) {
            SpillJob(
                page.detached, page: QueuedRecord(record), layout: layout, insertedAt: now, onDone: nil)
        }
    }

    /// Queues a page that is not in RAM, unless it is on disk or the policy keeps it away: a small hot tier must not
    /// cost durability.
    private func spillWithoutHotPage(_ page: PageName, before deadline: Deadline?, _ job: () -> SpillJob) -> Bool {
        if (try? store.cold.held([page.hash], usedAt: nil))?.isEmpty == false { return false }
        guard store.spiller.use([page.hash]) != nil else { return false }
        store.spiller.spill(pathTo: page.parent)
        return store.writer.enqueue(job(), before: deadline) == .queued
    }
}

/// A page's bytes in memory of its own, for as long as the spill queue needs them.
@safe
final class QueuedPage: @unchecked Sendable {
    // Unchecked because the bytes are written once, in `init`.
    private let base: UnsafeMutableRawPointer
    let source: PageSource

    init(_ page: PageSource, tokens: Int, _ layout: KVLayout) {
        unsafe base = .allocate(byteCount: layout.pageBytes(tokens: tokens), alignment: 64)
        unsafe PageTarget(base, capacity: tokens).copy(tokens: tokens, from: page, layout)
        source = unsafe PageSource(base, capacity: tokens)
    }

    deinit { unsafe base.deallocate() }
}
