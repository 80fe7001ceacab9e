// pfx_load_begin, pfx_load_end.

public import CPrefixStore
internal import Glibc
internal import PrefixStore
internal import Synchronization
internal import Threads

/// A load that was begun behind a handle. Thread-safe.
final class OpenLoad: Sendable {
    private let work: @Sendable () -> Result<Int64, any Error>
    private let result = Guarded<Result<Int64, any Error>?>(nil)
    /// Whether there is a result, for a caller that looks without the lock.
    private let isOver = Atomic(false)

    init(_ work: @escaping @Sendable () -> Result<Int64, any Error>) { self.work = work }

    /// Does the load.
    fileprivate func run() { end(work()) }

    fileprivate func end(_ result: Result<Int64, any Error>) {
        self.result.withLock { $0 = result }
        isOver.store(true, ordering: .releasing)
        self.result.broadcast()
    }

    /// Waits for the tokens that were delivered.
    func wait() throws -> Int64 {
        // The next piece of a prompt is often there in less time than it takes to sleep and to be woken.
        awake(until: { isOver.load(ordering: .acquiring) })
        guard let result = self.result.withLock(when: { $0 != nil }, { $0 }) else { return 0 }
        return try result.get()
    }
}

/// The loads of a match that were begun, one after the other on a thread that the first of them starts. Thread-safe.
///
/// `close()` must be called by the code that made the object: the thread keeps it alive.
final class LoadQueue: Sendable {
    private struct State {
        var waiting: [OpenLoad] = []
        var thread: Thread?
        var isClosed = false
    }

    private let state = Guarded(State())
    /// Loads that wait, for a thread that looks without the lock.
    private let count = Atomic(0)

    /// Begins a load. When the system has no thread for it, it is done at once.
    ///
    /// - Throws: `PFX_INVALID_HANDLE` when the match was given back.
    func begin(_ load: OpenLoad) throws {
        let isQueued = try state.withLock { state in
            guard !state.isClosed else { throw Handles.unknown }
            if state.thread == nil { state.thread = try? Thread { self.work() } }
            guard state.thread != nil else { return false }
            state.waiting.append(load)
            count.store(state.waiting.count, ordering: .releasing)
            return true
        }
        if isQueued { state.signal() } else { load.run() }
    }

    /// Waits for the load that has begun, and ends the thread. Loads that have not begun deliver nothing.
    func close() {
        let (thread, dropped) = state.withLock { state in
            state.isClosed = true
            defer { (state.thread, state.waiting) = (nil, []) }
            return (state.thread, state.waiting)
        }
        state.signal()
        for load in dropped { load.end(.success(0)) }
        thread?.join()
    }

    private func work() {
        while let load = next() { load.run() }
    }

    private func next() -> OpenLoad? {
        awake(until: { count.load(ordering: .acquiring) > 0 })
        return state.withLock(when: { !$0.waiting.isEmpty || $0.isClosed }) { state in
            guard !state.waiting.isEmpty else { return nil }
            defer { count.store(state.waiting.count, ordering: .releasing) }
            return state.waiting.removeFirst()
        }
    }
}

/// Lets other threads run until something holds, for some 50 microseconds at most.
private func awake(until isTrue: () -> Bool) {
    var looks = 0
    while looks < 200, !isTrue() {
        sched_yield()
        looks += 1
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_load_begin(
    _ match: OpaquePointer!, _ from: Int, _ to: Int, _ rows: UnsafePointer<pfx_rows>!,
    _ loading: UnsafeMutablePointer<OpaquePointer?>!
) -> Int32 {
    answer {
        let result = try unsafe place(loading, "loading")
        let open = try unsafe match.object(OpenMatch.self)
        let tokens = try range(from, to)
        let rows = try unsafe HeldRows(rows, tokens: max(0, min(to, open.match.tokenCount) - from))
        let begun = OpenLoad { Result { try Int64(rows.withMemory { try open.match.load(tokens, into: $0).tokens }) } }
        // Of no store: the handle stays good when the store is closed, so that `pfx_load_end` waits even then.
        try unsafe result.give(begun)
        do {
            try open.loads.begin(begun)
        } catch {
            _ = try unsafe result.pointee.giveBack(OpenLoad.self)
            unsafe result.pointee = nil
            throw error
        }
    }
}

/// See prefixstore.h.
@c @implementation
public func pfx_load_end(_ loading: OpaquePointer!) -> Int64 {
    answer {
        guard let load = try unsafe loading.giveBack(OpenLoad.self) else { return 0 }
        return try load.wait()
    }
}
