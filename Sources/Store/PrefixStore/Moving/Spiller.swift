// Which pages go down to the cold tier, and when: the write policies.

internal import ColdTier
internal import HotTier
internal import Records
internal import Threads

/// Hands hot pages to the spill writer, each behind its ancestors that are not stored yet: a page without its parent
/// could never be found on disk. Thread-safe.
final class Spiller: Sendable {
    private let writer: SpillWriter
    private let policy: WritePolicy
    /// How often pages were used, for a policy that asks.
    private let seen: SeenPages?
    // The tier calls the spiller when it evicts, so the spiller must not keep the tier alive.
    private let tier = Guarded(WeakTier())
    /// Whether pages found no parent on disk since `flush` last looked.
    private let hasOrphans = Guarded(false)

    private struct WeakTier { weak var tier: HotTier? }

    init(_ writer: SpillWriter, _ policy: WritePolicy, folder: String) {
        self.writer = writer
        self.policy = policy
        if case .afterHits = policy { seen = SeenPages(folder: folder) } else { seen = nil }
    }

    /// Begins to serve `hot`.
    func serve(_ hot: HotTier) { tier.withLock { $0.tier = hot } }

    /// Notes a use of pages of one sequence that are not on disk.
    ///
    /// - Returns: the last one that the policy lets go to disk. Under `afterHits` it counts uses, of earlier processes
    ///   too: the first use is no hit, because there was nothing to be hit.
    func use(_ pages: [PrefixHash]) -> PrefixHash? {
        guard case .afterHits(let hits) = policy, let seen else { return pages.last }
        let uses = seen.count(pages, now: SystemClock.wallMilliseconds())
        return uses.lastIndex { $0 > hits }.map { pages[$0] }
    }

    /// Queues what the cold tier lacks of the path to a page.
    func spill(pathTo hash: PrefixHash, isAlwaysTaken: Bool = false) {
        guard let hot = tier.withLock({ $0.tier }) else { return }
        for pin in hot.dirtyPath(to: hash) { _ = enqueue(pin, isAlwaysTaken: isAlwaysTaken) }
    }

    /// Queues every page that is only in RAM, parents first, and waits for room in the queue whatever the options say:
    /// who flushes wants them on disk. Under `afterHits` there is no such duty.
    ///
    /// - Returns: false when the deadline passed before all were queued.
    @discardableResult
    func spillDirtyPages(before deadline: Deadline? = nil) -> Bool {
        if case .afterHits = policy { return true }
        guard let hot = tier.withLock({ $0.tier }) else { return true }
        var isInTime = true
        for pin in hot.dirtyPages() {
            if let deadline { isInTime = SystemClock.monotonicNanoseconds() < deadline.nanoseconds }
            if isInTime { _ = enqueue(pin, waits: true, before: deadline) } else { pin.release() }
        }
        return isInTime
    }

    /// Waits until every page that is only in RAM is on disk. Another process may have evicted a page from the disk
    /// that this one still has in RAM: what was to follow it there is then an orphan, and is written again behind it.
    ///
    /// - Returns: false when the deadline passed before that.
    /// - Throws: what kept a page from being written.
    func flush(before deadline: Deadline? = nil) throws(StoreError) -> Bool {
        // More than two rounds need another process that evicts all that this one writes. Then nothing helps.
        for _ in 0..<3 {
            hasOrphans.withLock { $0 = false }
            guard spillDirtyPages(before: deadline), try written(before: deadline) else { return false }
            if !hasOrphans.withLock({ $0 }) { break }
        }
        return true
    }

    private func written(before deadline: Deadline?) throws(StoreError) -> Bool {
        if let deadline { return try writer.flush(before: deadline) }
        try writer.flush()
        return true
    }

    /// A page that is about to leave RAM: in write-back mode it goes to disk instead of being lost.
    ///
    /// It never waits for room in the queue: the page has its record, and the thread that evicts it may be the one that
    /// empties the queue.
    ///
    /// - Returns: true when the page was queued; it stays in RAM until it is written.
    func takeOver(_ pin: SpillPin) -> Bool {
        guard policy == .writeBack, let hot = tier.withLock({ $0.tier }) else { return false }
        let path = hot.dirtyPath(to: pin.hash)
        return path.reduce(true) { $0 && enqueue($1, isAlwaysTaken: true) }
    }

    /// Has a page encoded that is not to be written yet. In write-back mode, one for whose record there is no room in
    /// RAM goes to disk; it stays staged until then, so that such pages are as few as the staging memory holds.
    func encode(_ pin: SpillPin) {
        _ = enqueue(pin, isForDisk: false)
    }

    /// The pin keeps the page until it is written. A page that could not be written stays dirty: the next flush tries
    /// it again, and so does the next page behind it.
    ///
    /// The pin is told after the page was queued, so that no page behind this one is ever queued before it.
    private func enqueue(
        _ pin: SpillPin, isForDisk: Bool = true, waits: Bool = false, isAlwaysTaken: Bool = false,
        before deadline: Deadline? = nil
    ) -> Bool {
        let name = pin.name
        let layout = pin.layout
        let page = HotPage(pin, name) { [weak self, policy] in
            if policy == .writeBack, !isForDisk { self?.spill(pathTo: name.hash, isAlwaysTaken: true) }
        }
        let job = SpillJob(
            name, page: page, layout: layout, insertedAt: SystemClock.wallMilliseconds(), isForDisk: isForDisk,
            onDone: { [weak self, writer] outcome in
                if outcome == .stored || outcome == .alreadyThere { pin.markStored() }
                if outcome == .orphan {
                    pin.markPathUnstored()
                    self?.hasOrphans.withLock { $0 = true }
                }
                // It was not encoded: the queue or the disk did not take it, or another copy of it was written. It is
                // in RAM all the same.
                if outcome != .kept, pin.isStaged {
                    writer.settle(
                        SpillJob(name, page: page, layout: layout, insertedAt: 0, isForDisk: false, onDone: nil))
                }
                pin.release()
            })
        let outcome = writer.enqueue(job, waits: waits, isAlwaysTaken: isAlwaysTaken, before: deadline)
        if isForDisk { pin.noteQueued() }
        return outcome == .queued
    }
}

extension Space {
    /// Queues the pages of a match that have now been used often enough. The path to a page covers all pages before it.
    func spillAfterHits(_ lease: borrowing HotMatch) {
        guard case .afterHits = store.options.writePolicy else { return }
        var pages: [PrefixHash] = []
        for page in 0..<lease.pageCount where !lease.isStored(page) { pages.append(lease.hash(of: page)) }
        if let last = store.spiller.use(pages) { store.spiller.spill(pathTo: last) }
    }
}
