// Keeping what was loaded from disk in RAM too, behind the caller's back.

internal import ColdTier
internal import HotTier
internal import Records
internal import Threads

/// A page that is to be kept.
struct PromotedPage: Sendable {
    let name: PageName
    /// When the cold tier stops serving it; 0 for never.
    let expiry: Int64
}

/// Copies records from the cold tier to the hot one, on a thread of its own, which starts with the first page. So no
/// load waits for it. Thread-safe.
final class Promoter: Sendable {
    private struct Work {
        let space: HotSpace
        let pages: [PromotedPage]
        var bytes: Int { pages.reduce(0) { $0 + space.layout.pageBytes(tokens: $1.name.tokens.count) } }
    }

    private struct State {
        var waiting: [Work] = []
        var bytes = 0
        var isBusy = false
        var isClosed = false
        var thread: Thread?
    }

    /// Raw bytes whose records are lent by the cold tier at once.
    private static let lentBytes = 64 << 20

    private let cold: ColdTier
    /// Pages that wait beyond this would only evict each other.
    private let limit: Int
    private let state = Guarded(State())

    init(from cold: ColdTier, limit: ByteCount) {
        self.cold = cold
        self.limit = Int(clamping: limit.value)
    }

    /// Keeps pages of one sequence, a parent before those that follow it. Pages that find no room in the queue are left
    /// out.
    func add(_ pages: [PromotedPage], to space: HotSpace) {
        let work = Work(space: space, pages: pages)
        state.withLock { state in
            guard !state.isClosed, !pages.isEmpty, state.bytes + work.bytes <= limit else { return }
            // Without a thread nothing is kept, and nothing is lost.
            if state.thread == nil { state.thread = try? Thread(priority: .background) { self.run() } }
            guard state.thread != nil else { return }
            state.waiting.append(work)
            state.bytes += work.bytes
        }
        state.broadcast()
    }

    /// Waits until everything that was added is kept.
    func finish() { state.wait { $0.isClosed || $0.waiting.isEmpty && !$0.isBusy } }

    /// Ends the thread after the pages that it has begun. The code that makes a promoter must call it.
    func close() {
        let thread = state.withLock { state in
            state.isClosed = true
            return state.thread
        }
        state.broadcast()
        thread?.join()
    }

    private func run() {
        while let work = next() { keep(work) }
    }

    private func next() -> Work? {
        state.withLock { $0.isBusy = false }
        state.broadcast()
        return state.withLock(when: { !$0.waiting.isEmpty || $0.isClosed }) { state in
            guard !state.isClosed else { return nil }
            state.isBusy = true
            let work = state.waiting.removeFirst()
            state.bytes -= work.bytes
            return work
        }
    }

    private func keep(_ work: Work) {
        let count = max(1, Self.lentBytes / work.space.layout.bytesPerPage)
        for start in stride(from: 0, to: work.pages.count, by: count) {
            guard keep(work.pages[start..<min(start + count, work.pages.count)], work.space) else { return }
        }
    }

    /// - Returns: false when a page is gone or finds no room: those behind it need not be tried.
    private func keep(_ pages: ArraySlice<PromotedPage>, _ space: HotSpace) -> Bool {
        let wanted = pages.map {
            RecordRequest(hash: $0.name.hash, tokenCount: $0.name.tokens.count, seal: $0.name.seal)
        }
        let now = SystemClock.wallMilliseconds()
        var isComplete = false
        try? cold.lend(wanted, of: space.layout) { records in
            isComplete = zip(pages, records).allSatisfy { page, record in
                guard let record, !state.withLock({ $0.isClosed }) else { return false }
                let outcome = space.insert(
                    page.name, record: record.bytes, now: now, isStored: true, expiry: page.expiry)
                return outcome == .inserted || outcome == .alreadyThere
            }
            return [:]
        }
        return isComplete
    }
}
