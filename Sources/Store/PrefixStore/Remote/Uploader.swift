// What goes to the remote: pages that are on disk, in the background, and never faster than allowed.

internal import ColdTier
internal import Records
internal import RemoteTier
internal import Threads

/// A queue of pages that are to be put, and the thread that puts them. Names wait, and the records of prompts' ends;
/// all other records are read from the tier on disk when it is their turn. Thread-safe. The first page starts the
/// thread; whoever makes it closes it.
final class Uploader: Sendable {
    /// Pages and encoded bytes of one batch: copies of so much are in memory.
    private static let batch = (pages: 64, bytes: 8 << 20)
    /// The first pause after a failure, and the longest.
    private static let pauses: ClosedRange<UInt64> = 200_000_000...10_000_000_000

    /// Bytes of the records that wait in memory.
    private static let keptBytes = 32 << 20

    /// A page that is to be put.
    struct Item {
        let name: PageName
        /// What it counts in the queue.
        let bytes: Int
        /// Its record, if the disk may not have it when it is its turn.
        var record: RecordBytes?
    }

    private struct State {
        var queue: [Item] = []
        /// Where the queue begins; the items before it are done.
        var first = 0
        var queued: Set<PrefixHash> = []
        var bytes = 0
        var keptBytes = 0
        var thread: Thread?
        var isClosed = false
        var failure: StoreError?
        var isEnded = false
        var dropped: UInt64 = 0
        var refused: UInt64 = 0
    }

    private let cold: ColdTier
    private let tier: RemoteTier
    private let descriptor: @Sendable (PrefixHash) -> SpaceDescriptor?
    private let state = Guarded(State())

    init(
        from cold: ColdTier, to tier: RemoteTier, descriptor: @escaping @Sendable (PrefixHash) -> SpaceDescriptor?
    ) {
        self.cold = cold
        self.tier = tier
        self.descriptor = descriptor
    }

    /// Queues pages that are on disk, each behind its parents. Those for which the queue has no room are not put, and
    /// counted.
    func put(_ pages: some Sequence<Item>) {
        let limit = Int(clamping: tier.options.queueCapacity.value)
        state.withLock { state in
            for var page in pages
            where !page.name.isBlock && !state.isClosed && !state.queued.contains(page.name.hash) {
                guard state.bytes == 0 || state.bytes + page.bytes <= limit, startThread(&state) else {
                    state.dropped += 1
                    continue
                }
                let kept = page.record?.encodedBytes ?? 0
                if state.keptBytes + kept > Self.keptBytes { page.record = nil } else { state.keptBytes += kept }
                state.queue.append(page)
                state.queued.insert(page.name.hash)
                state.bytes += page.bytes
            }
        }
        state.broadcast()
    }

    /// Called under the lock.
    private func startThread(_ state: inout State) -> Bool {
        if state.thread == nil { state.thread = try? Thread(priority: .background) { self.run() } }
        return state.thread != nil
    }

    /// Pages that wait, and are not there yet.
    var waitingPages: Int { state.withLock { $0.queued.count } }
    /// Pages for which the queue had no room.
    var droppedPages: UInt64 { state.withLock { $0.dropped } }
    /// Pages that the remote did not take, because it is full or they are damaged.
    var refusedPages: UInt64 { state.withLock { $0.refused } }

    /// Why the last batch was not put; nil when it was.
    var failure: StoreError? { state.withLock { $0.failure } }

    /// Waits until nothing waits any more; false when the deadline has passed first.
    func drain(before deadline: Deadline) -> Bool { state.wait(until: { $0.queued.isEmpty }, before: deadline) }

    /// Puts what waits until the deadline, unless the remote fails anyway, and ends the thread.
    func close(before deadline: Deadline) {
        _ = state.wait(until: { $0.queued.isEmpty || $0.failure != nil }, before: deadline)
        let thread = state.withLock { state in
            state.isClosed = true
            return state.thread
        }
        state.broadcast()
        guard let thread else { return }
        // A batch that is under way at the end of the time goes on without anybody: it only reads what is there.
        let patience = Deadline(nanoseconds: max(deadline.nanoseconds, Deadline.after(.milliseconds(100)).nanoseconds))
        if state.wait(until: { $0.isEnded }, before: patience) { thread.join() } else { thread.detach() }
    }

    // MARK: The thread

    private func run() {
        var failures: UInt64 = 0
        while let items = nextItems() {
            let began = SystemClock.monotonicNanoseconds()
            do throws(StoreError) {
                let sent = try put(items)
                failures = 0
                finish(items, nil)
                pay(for: sent, since: began)
            } catch {
                failures += 1
                finish([], error)
                pause(after: failures)
            }
        }
        state.withLock { $0.isEnded = true }
        state.broadcast()
    }

    /// Waits for pages; nil when the uploader is closed.
    private func nextItems() -> ArraySlice<Item>? {
        state.withLock(when: { $0.isClosed || $0.first < $0.queue.count }) { state in
            guard !state.isClosed else { return nil }
            var bytes = 0
            let end = state.queue[state.first...].prefix(Self.batch.pages).firstIndex { item in
                defer { bytes += item.bytes }
                return bytes > 0 && bytes + item.bytes > Self.batch.bytes
            }
            return state.queue[state.first..<(end ?? min(state.first + Self.batch.pages, state.queue.count))]
        }
    }

    private func finish(_ items: ArraySlice<Item>, _ failure: StoreError?) {
        state.withLock { state in
            for item in items {
                state.queued.remove(item.name.hash)
                state.bytes -= item.bytes
                state.keptBytes -= item.record?.encodedBytes ?? 0
            }
            state.first += items.count
            if state.first == state.queue.count || state.first > 4096 {
                state.queue.removeFirst(state.first)
                state.first = 0
            }
            state.failure = failure
        }
        state.broadcast()
    }

    /// Puts a batch, space by space in its order.
    ///
    /// - Returns: bytes that went out.
    private func put(_ items: ArraySlice<Item>) throws(StoreError) -> Int {
        var sent = 0
        var rest = items
        while let first = rest.first {
            let root = first.name.root
            let part = rest.prefix { $0.name.root == root }
            rest = rest.dropFirst(part.count)
            guard let descriptor = descriptor(root) else { continue }
            let records = try records(part, descriptor.layout)
            guard !records.isEmpty else {
                // No look-up reads what describes the space, so a full server has evicted it before these pages. A host
                // that may only read does without.
                try? tier.register(descriptor)
                continue
            }
            try tier.register(descriptor)
            for (record, outcome) in zip(records, try tier.put(missing: records)) {
                switch outcome {
                case .stored: sent += record.bytes.encodedBytes
                case .alreadyThere: break
                case .noRoom, .invalid, .orphan: state.withLock { $0.refused += 1 }
                }
            }
        }
        return sent
    }

    /// The records that are wanted, those of the disk as copies: a reader of the file must not wait for a network.
    private func records(_ items: ArraySlice<Item>, _ layout: KVLayout) throws(StoreError) -> [PageRecord] {
        let known = try tier.held(items.lazy.map { (hash: $0.name.hash, parent: $0.name.parent) })
        let missing = items.filter { !known.contains($0.name.hash) || tier.isDamaged($0.name.hash) }
        let lacking = missing.indices.filter { missing[$0].record == nil }
        var records = missing.map(\.record)
        if !lacking.isEmpty {
            let wanted = lacking.map { place in
                let name = missing[place].name
                return RecordRequest(hash: name.hash, tokenCount: name.tokens.count, seal: name.seal)
            }
            // An error of the folder may pass: the pages wait, and callers of the store are told of it.
            try cold.lend(wanted, of: layout) { lent in
                for (place, record) in zip(lacking, lent) { records[place] = record?.copied }
                return [:]
            }
        }
        return zip(missing, records).compactMap { item, record in
            record.map { PageRecord(item.name, $0, lastUse: 0) }
        }
    }

    private func pay(for bytes: Int, since began: UInt64) {
        guard let rate = tier.options.putRate, bytes > 0 else { return }
        let nanoseconds = Double(bytes) / Double(rate.value) * 1e9
        _ = state.wait(
            until: { $0.isClosed }, before: Deadline(nanoseconds: began &+ UInt64(min(nanoseconds, 3600e9))))
    }

    private func pause(after failures: UInt64) {
        let pause = min(Self.pauses.lowerBound << min(failures - 1, 10), Self.pauses.upperBound)
        let time = pause - UInt64.random(in: 0...pause / 4)
        let end = Deadline(nanoseconds: SystemClock.monotonicNanoseconds() + time)
        _ = state.wait(until: { $0.isClosed }, before: end)
    }
}
