// What came from the remote is kept on disk, so that it comes over the network once.

internal import ColdTier
internal import Records
internal import Threads

/// A queue of fetched records, and the thread that stores them. Thread-safe. The first record starts the thread;
/// whoever makes it closes it.
final class Arrivals: Sendable {
    /// Limit on the bytes that wait. What finds no room stays where it came from.
    private static let limit = 64 << 20
    /// Bytes that are stored in one go.
    private static let batchBytes = 16 << 20

    private struct State {
        var waiting: [PageRecord] = []
        var bytes = 0
        var thread: Thread?
        var isClosed = false
        var isStoring = false
        var stored: UInt64 = 0
    }

    private let cold: ColdTier
    private let state = Guarded(State())

    init(into cold: ColdTier) { self.cold = cold }

    /// Pages that came from the remote and are on disk now.
    var storedPages: UInt64 { state.withLock { $0.stored } }

    /// Takes records that came in their order.
    func offer(_ pages: [PageRecord]) {
        state.withLock { state in
            for page in pages {
                guard !state.isClosed, state.bytes == 0 || state.bytes + page.bytes.encodedBytes <= Self.limit,
                    startThread(&state)
                else { return }
                state.waiting.append(page)
                state.bytes += page.bytes.encodedBytes
            }
        }
        state.broadcast()
    }

    private func startThread(_ state: inout State) -> Bool {
        if state.thread == nil { state.thread = try? Thread(priority: .background) { self.run() } }
        return state.thread != nil
    }

    /// Waits until everything that has arrived is on disk; false when the deadline has passed first.
    func drain(before deadline: Deadline?) -> Bool {
        let isReady = { @Sendable (state: State) in state.waiting.isEmpty && !state.isStoring }
        guard let deadline else {
            state.wait(until: isReady)
            return true
        }
        return state.wait(until: isReady, before: deadline)
    }

    /// Stores nothing more, and ends the thread.
    func close() {
        let thread = state.withLock { state in
            state.isClosed = true
            state.waiting = []
            return state.thread
        }
        state.broadcast()
        thread?.join()
    }

    private func run() {
        while let pages = next() {
            // The caller has decoded what it wanted of these records; that need not have been all of them.
            let sound = pages.filter { (try? $0.bytes.verifyPayload()) != nil }
            // A failure here costs nothing: the pages are still where they came from.
            let outcomes = (try? cold.take(sound)) ?? []
            let stored = outcomes.count { $0 == .stored || $0 == .alreadyThere }
            state.withLock { state in
                state.stored += UInt64(stored)
                state.isStoring = false
            }
            state.broadcast()
        }
    }

    private func next() -> [PageRecord]? {
        state.withLock(when: { $0.isClosed || !$0.waiting.isEmpty }) { state in
            guard !state.isClosed else { return nil }
            var bytes = 0
            let end = state.waiting.firstIndex { page in
                defer { bytes += page.bytes.encodedBytes }
                return bytes >= Self.batchBytes
            }
            let batch = Array(state.waiting[..<(end ?? state.waiting.count)])
            state.waiting.removeFirst(batch.count)
            state.bytes -= batch.reduce(0) { $0 + $1.bytes.encodedBytes }
            state.isStoring = true
            return batch
        }
    }
}
