// A store: one folder, both tiers, and the thread that writes.

internal import ColdTier
internal import Glibc
internal import HotTier
internal import Records
internal import Threads

/// A persistent prefix cache: one folder that any number of processes on a host open at once.
///
/// ```swift
/// let store = try Store(at: "kv", options: StoreOptions(quota: .gibibytes(50)))
/// let space = try store.space(identity)
/// let match = try space.match(tokens)
/// let loaded = try match.load(into: targets)             // prefill the rest: tokens[loaded.tokens...]
/// try space.insert(tokens, after: loaded.place) { memory.source(ofPage: $0) }
/// try store.flush()                                      // now it survives a power cut
/// ```
///
/// A process opens a folder once: a second object is refused, because it would break LMDB's locks. Thread-safe. A
/// process that forks must open its store after the fork.
public final class Store: Sendable {
    /// The options that the store was opened with.
    public let options: StoreOptions
    /// The store's folder.
    public let path: String

    /// The quota of the folder, as it was when the store was opened; another process may change it.
    public var quota: ByteCount { cold.quota }

    /// What this opening's quota evicts with the next write: nil unless it is lower than before, and than what is in
    /// use. To keep the pages, close the store and open it with the previous quota before anything is inserted.
    public var quotaNotice: QuotaNotice? { cold.quotaNotice }

    /// Set when this opening found a store that was too damaged to be used, moved it aside and began a new one.
    public var setAsideNotice: SetAsideNotice? { cold.setAsideNotice }

    let cold: ColdTier
    let hot: HotTier
    /// The threads that help callers to load, from whichever tier.
    let team: Team
    let loader: RecordLoader
    let writer: SpillWriter
    let spiller: Spiller
    let counters = Counters()
    private let spaces = Guarded<[PrefixHash: SpaceState]>([:])
    private let life = Guarded<Life>(.open)

    private let processID = getpid()

    private enum Life { case open, closed }

    /// Opens the store in the folder `path`, and creates it when the folder is missing or empty.
    ///
    /// - Throws: `StoreError`; nothing is changed then, and nothing stays open.
    public init(at path: String, options: StoreOptions = StoreOptions()) throws(StoreError) {
        try options.validate()
        self.options = options
        self.path = path
        let cold = try ColdTier(
            path: path,
            options: ColdOptions(quota: options.quota, opening: .createIfMissing))
        self.cold = cold
        let helpers = Team.spareCores
        team = Team(helpers: helpers)
        loader = RecordLoader(team, decoders: helpers + 1)
        writer = SpillWriter(
            into: cold, codec: options.codec, readingAt: loader.readRate,
            options: SpillOptions(
                queueCapacity: options.queueCapacity, whenFull: options.whenQueueFull,
                bytesPerSecond: options.spillRate))
        let spiller = Spiller(writer, options.writePolicy)
        self.spiller = spiller
        do throws(StoreError) {
            hot = try HotTier(capacity: options.hotCapacity, spillBeforeEvict: { spiller.takeOver($0) })
        } catch {
            cold.close()
            throw error
        }
        spiller.serve(hot)
        team.start()
    }

    /// The space of `identity`: all pages that engines of this identity share. The first call registers it in the
    /// folder.
    public func space(_ identity: ModelIdentity) throws(StoreError) -> Space {
        try checkOpen()
        guard !identity.layout.isOfBlocks else { throw .invalidLayout("blocks are not found by token ids") }
        let descriptor = identity.descriptor
        let root = descriptor.root
        if let known = spaceState(root) { return Space(known, of: self) }
        try cold.open(space: descriptor)
        let prefillTime = min(try cold.space(root)?.prefillNanoseconds ?? 0, Space.longestPrefill)
        let hotSpace = try hot.space(root: root, layout: identity.layout)
        let state = spaces.withLock { spaces in
            if let known = spaces[root] { return known }
            let state = SpaceState(hotSpace, prefillTime: prefillTime)
            spaces[root] = state
            return state
        }
        return Space(state, of: self)
    }

    /// Waits until every page inserted so far is on disk and synced, pages that could not be written before included;
    /// after `afterHits` only those that were used often enough. A page for which the quota has no room, because
    /// everything else is pinned, stays in RAM only; `StoreStatistics.droppedPages` counts it. Once this has returned,
    /// those pages survive a kill and a power cut.
    ///
    /// - Throws: the error that kept a page from being written since the last call. The pages stay usable in RAM.
    public func flush() throws(StoreError) {
        try checkOpen()
        spiller.spillDirtyPages()
        try writer.flush()
        try cold.flushTouches()
        keepPrefillTimes()
    }

    /// As `flush()`, for `limit` at most. What is being written when the time is up goes on being written.
    ///
    /// - Returns: false when the time was up before everything was on disk.
    /// - Complexity: it may take one batch longer, since a batch that is being written is not interrupted.
    public func flush(within limit: Duration) throws(StoreError) -> Bool {
        try checkOpen()
        let deadline = Deadline.after(limit)
        guard spiller.spillDirtyPages(before: deadline), try writer.flush(before: deadline) else { return false }
        try cold.flushTouches()
        keepPrefillTimes()
        return true
    }

    /// Writes what waits to be written, stops the writer and closes the folder. Later calls throw `.closed`; calling it
    /// twice does no harm. A store that is dropped closes itself; an error is lost then.
    public func close() throws(StoreError) {
        // The writer's thread is the parent's: a forked child has nothing to write, and must not wait for it.
        guard getpid() == processID else { throw .forked }
        let wasOpen = life.withLock { life in
            defer { life = .closed }
            return life == .open
        }
        guard wasOpen else { return }
        spiller.spillDirtyPages()
        defer {
            cold.close()
            team.close()
        }
        try writer.close()
        try cold.flushTouches()
        keepPrefillTimes()
    }

    deinit { try? close() }

    /// Stores the engines' current prefill times in the folder, for later processes.
    private func keepPrefillTimes() {
        for (root, space) in spaces.withLock({ $0 }) {
            guard let time = space.changedPrefillTime else { continue }
            // A failure here loses little: the next process measures again.
            guard (try? cold.setPrefillTime(nanosecondsPerToken: time, of: root)) != nil else { continue }
            space.storedPrefillTime.set(time)
        }
    }

    /// The space with this root, if this process has opened it.
    func spaceState(_ root: PrefixHash) -> SpaceState? { spaces.withLock { $0[root] } }

    /// Refuses calls after `close()`, and in a child that was forked from the process that opened the store.
    func checkOpen() throws(StoreError) {
        guard getpid() == processID else { throw .forked }
        guard life.withLock({ $0 == .open }) else { throw .closed }
    }
}
