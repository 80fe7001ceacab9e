// A store: one folder, both tiers, and the thread that writes.

internal import ColdTier
internal import HotTier
internal import Records
internal import RemoteTier
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
    /// The threads that wait for the disk in place of callers with a deadline.
    let errands = Errands()
    /// Keeps in RAM what was loaded from disk.
    let promoter: Promoter
    let writer: SpillWriter
    let spiller: Spiller
    let counters = Counters()
    /// The server that other hosts use too; nil without one.
    let remote: RemoteLink?
    private let state = Guarded(State())

    private let process = OwnProcess()

    /// Memory for pages that are not encoded yet. Beyond it, the inserting thread encodes too.
    static let stagingCapacity = ByteCount.mebibytes(64)

    private struct State {
        /// The open spaces, by the roots of their identities: that of a sealed space is another.
        var spaces: [PrefixHash: SpaceState] = [:]
        var isOpen = true
    }

    /// Opens the store in the folder `path`, and creates it when the folder is missing or empty.
    ///
    /// - Throws: `StoreError`; nothing is changed then, and nothing stays open.
    public init(at path: String, options: StoreOptions = StoreOptions()) throws(StoreError) {
        try options.validate()
        self.options = options
        self.path = path
        let tier = try options.remote.map { (remote) throws(StoreError) in try RemoteTier(remote) }
        let cold = try Self.openCold(path, options)
        self.cold = cold
        let remote = tier.map { RemoteLink($0, cold) }
        self.remote = remote
        let below: any RecordTier = remote?.relay(cold) ?? cold
        let helpers = Team.spareCores
        team = Team(helpers: helpers)
        loader = RecordLoader(team, decoders: helpers + 1)
        promoter = Promoter(from: cold, limit: options.hotCapacity)
        writer = SpillWriter(
            into: below, codec: options.codec, readingAt: loader.readRate,
            options: SpillOptions(
                queueCapacity: options.queueCapacity, whenFull: options.whenQueueFull,
                bytesPerSecond: options.spillRate))
        let spiller = Spiller(writer, options.writePolicy, folder: path)
        self.spiller = spiller
        do throws(StoreError) {
            hot = try HotTier(
                capacity: options.hotCapacity, stagingCapacity: min(options.queueCapacity, Self.stagingCapacity),
                spillBeforeEvict: { spiller.takeOver($0) })
        } catch {
            remote?.close(before: .after(.zero))
            cold.close()
            throw error
        }
        spiller.serve(hot)
        team.start()
    }

    /// Opens the tier on disk. Damage that the opening itself has met is known to the second attempt, which sets the
    /// store aside; nobody has to start the program again for that.
    private static func openCold(_ path: String, _ options: StoreOptions) throws(StoreError) -> ColdTier {
        let cold = ColdOptions(quota: options.quota, opening: .createIfMissing, sealingKey: options.sealingKey)
        do throws(StoreError) {
            return try ColdTier(path: path, options: cold)
        } catch .damaged {
            return try ColdTier(path: path, options: cold)
        } catch {
            throw error
        }
    }

    /// The space of `identity`: all pages that engines of this identity share. The first call registers it in the
    /// folder.
    ///
    /// - Throws: `.invalidLayout`; `.wrongKey` when the store's spaces are sealed with another key; `.sealedSpace` when
    ///   they are sealed and the store was opened without a key; `.damaged`, `.closed`, `.forked`, `.diskFull`,
    ///   `.system`.
    public func space(_ identity: ModelIdentity) throws(StoreError) -> Space {
        try checkOpen()
        guard !identity.layout.isOfBlocks else { throw .invalidLayout("blocks are not found by token ids") }
        let descriptor = identity.descriptor
        let name = descriptor.root
        if let known = state.withLock({ $0.spaces[name] }) { return Space(known, of: self) }
        let access = try cold.open(space: descriptor)
        remote?.add(access.seal.map { descriptor.sealed(by: $0) } ?? descriptor)
        let prefillTime = min(try cold.space(access.root)?.prefillNanoseconds ?? 0, Space.longestPrefill)
        let hotSpace = try hot.space(root: access.root, layout: identity.layout, seal: access.seal)
        let space = state.withLock { state in
            if let known = state.spaces[name] { return known }
            let space = SpaceState(hotSpace, seal: access.seal, prefillTime: prefillTime)
            state.spaces[name] = space
            return space
        }
        return Space(space, of: self)
    }

    /// Waits until every page inserted so far is on disk and synced, pages that could not be written before included;
    /// after `afterHits` only those that were used often enough. Once this has returned, those pages survive a kill and
    /// a power cut.
    ///
    /// - Throws: the error that kept a page from being written since the last call. The pages stay usable in RAM.
    ///   `.quotaFull` when pages were dropped because the quota is full of pinned ones. Of a prompt that is longer than
    ///   the whole quota the end is not stored, which is no error; `StoreStatistics.droppedPages` counts both.
    ///   `.writerBusy` when another process writes and does not finish: it is waited for half a minute. `.fileReplaced`
    ///   when the store's files were deleted or exchanged: nothing that is written to them is found again.
    public func flush() throws(StoreError) {
        try checkOpen()
        _ = try spiller.flush()
        try cold.flushTouches()
        keepPrefillTimes(before: nil)
        try cold.checkFiles()
        if let refusal = cold.quotaRefusal() { throw refusal }
    }

    /// As `flush()`, for `limit` at most. What is being written when the time is up goes on being written.
    ///
    /// - Returns: false when the time was up before everything was on disk.
    /// - Complexity: it may take one batch longer, since a batch that is being written is not interrupted.
    public func flush(within limit: Duration) throws(StoreError) -> Bool {
        try checkOpen()
        let deadline = Deadline.after(limit)
        guard try spiller.flush(before: deadline), try flushTouches(before: deadline) else { return false }
        keepPrefillTimes(before: deadline)
        try cold.checkFiles()
        if let refusal = cold.quotaRefusal() { throw refusal }
        return true
    }

    /// Writes what waits to be written, stops the writer and closes the folder. Later calls throw `.closed`; calling it
    /// twice does no harm. A store that is dropped closes itself; an error is lost then.
    ///
    /// - Throws: the error that kept a page from being written since the last `flush()`. `.writerBusy` when another
    ///   process writes and does not finish: it is waited for half a minute. The store is closed in every case.
    public func close() throws(StoreError) { _ = try close(before: nil) }

    /// As `close()`, for `limit` at most: a writer of another process that stands still holds it up no longer. Pages
    /// that were not written by then are not stored; what was flushed stays.
    ///
    /// - Returns: false when the time was up before everything was on disk. The store is closed all the same.
    /// - Complexity: it may take one batch longer, since a batch that is being written is not interrupted.
    public func close(within limit: Duration) throws(StoreError) -> Bool { try close(before: .after(limit)) }

    private func close(before deadline: Deadline?) throws(StoreError) -> Bool {
        // The writer's thread is the parent's: a forked child has nothing to write, and must not wait for it.
        guard process.isHere else { throw .forked }
        let wasOpen = state.withLock { state in
            defer { state.isOpen = false }
            return state.isOpen
        }
        guard wasOpen else { return true }
        promoter.close()
        var failure: StoreError?
        var isWritten = false
        do throws(StoreError) { isWritten = try spiller.flush(before: deadline) } catch { failure = error }
        defer {
            remote?.close(before: deadline)
            errands.close()
            cold.close(before: deadline)
            team.close()
        }
        let isClosed = try writer.close(before: deadline)
        if let failure { throw failure }
        guard isClosed, isWritten, try flushTouches(before: deadline) else { return false }
        keepPrefillTimes(before: deadline)
        try cold.checkFiles()
        if let refusal = cold.quotaRefusal() { throw refusal }
        return true
    }

    deinit { try? close() }

    /// False when the deadline passed while another process was writing.
    private func flushTouches(before deadline: Deadline?) throws(StoreError) -> Bool {
        do throws(StoreError) {
            try cold.flushTouches(before: deadline)
            return true
        } catch .writerBusy where deadline != nil {
            return false
        } catch {
            throw error
        }
    }

    /// Stores the engines' current prefill times in the folder, for later processes.
    private func keepPrefillTimes(before deadline: Deadline?) {
        let deadline = deadline ?? .after(.seconds(1))
        for space in state.withLock({ Array($0.spaces.values) }) {
            guard let time = space.changedPrefillTime else { continue }
            // A failure here loses little: the next process measures again.
            do throws(StoreError) {
                try cold.setPrefillTime(nanosecondsPerToken: time, of: space.root, before: deadline)
            } catch { continue }
            space.storedPrefillTime.set(time)
        }
    }

    /// Waits until the pages that loads have left to be kept in RAM are there.
    package func finishPromotions() { promoter.finish() }

    /// Whether a thread of this process waits for another process to finish writing, and has for a while.
    package static var isHeldUp: Bool { ColdTier.isHeldUp }

    /// Refuses calls after `close()`, and in a child that was forked from the process that opened the store.
    func checkOpen() throws(StoreError) {
        guard process.isHere else { throw .forked }
        guard state.withLock({ $0.isOpen }) else { throw .closed }
    }
}
