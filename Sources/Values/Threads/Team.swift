// A few threads that share one piece of work at a time, for example decoding the frames of a match.

internal import Glibc
internal import Synchronization

/// Threads that help a caller with a loop. Thread-safe. The helpers start at first need and sleep between loops. They
/// keep the team alive until `close()`, so the code that makes a team must close it.
///
/// One loop runs at a time. A caller that finds the helpers busy runs its loop alone, so that no caller waits for
/// another caller's work.
package final class Team: Sendable {
    private struct State {
        var helpers: [Thread] = []
        var loop: Loop?
        var loopNumber = 0
        var isClosed = false
    }

    private let helperCount: Int
    private let priority: ThreadPriority
    private let state = Guarded(State())

    /// Makes a team of `helpers` threads besides the caller; with 0, every caller runs its loop alone. Use background
    /// helpers only for callers in the background, because a caller waits for all of its helpers.
    package init(helpers: Int, priority: ThreadPriority = .normal) {
        helperCount = max(0, helpers)
        self.priority = priority
    }

    /// The number of cores besides the caller's, at most 3: two threads already come near the speed of the memory, and
    /// a store is a guest in its process.
    package static var spareCores: Int { min(3, max(0, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1)) }

    /// Calls `body` once with each number below `count`, from several threads at once. The calls begin in rising order.
    /// Returns when all calls have ended.
    ///
    /// - Parameter isShared: false when there is so little work that waking the helpers would take as long. The caller
    ///   then does everything alone.
    package func forEach(_ count: Int, isShared: Bool = true, _ body: @Sendable (Int) -> Void) {
        guard isShared else {
            for number in 0..<count { body(number) }
            return
        }
        withoutActuallyEscaping(body) { body in
            let loop = Loop(count: count, body: body)
            let isShared = count > 1 && share(loop)
            loop.work()
            if isShared { withdraw(loop) }
        }
    }

    /// Starts the helpers now, so that the first loop does not have to wait for them.
    package func start() { state.withLock { if !$0.isClosed { _ = startHelpers(&$0.helpers) } } }

    /// Ends the helpers. Later callers run their loops alone.
    package func close() {
        let ended = state.withLock { state in
            state.isClosed = true
            defer { state.helpers = [] }
            return state.helpers
        }
        state.broadcast()
        for helper in ended { helper.join() }
    }

    private func share(_ loop: Loop) -> Bool {
        let isShared = state.withLock { state in
            guard state.loop == nil, !state.isClosed, startHelpers(&state.helpers) else { return false }
            state.loop = loop
            state.loopNumber += 1
            return true
        }
        if isShared { state.broadcast() }
        return isShared
    }

    /// Withdraws the loop and waits for the helpers that are inside it, because `body` must not outlive its caller.
    private func withdraw(_ loop: Loop) {
        state.withLock { $0.loop = nil }
        loop.helpersInside.wait(until: { $0 == 0 })
    }

    /// Called under the lock. If the system refuses a thread, only speed is lost.
    private func startHelpers(_ helpers: inout [Thread]) -> Bool {
        while helpers.count < helperCount {
            guard let helper = try? Thread(priority: priority, { self.help() }) else { break }
            helpers.append(helper)
        }
        return !helpers.isEmpty
    }

    private func help() {
        var seen = 0
        while let helpersInside = takePart(&seen) {
            // The last helper to leave wakes the loop's caller, and does not touch the loop after that.
            helpersInside.withLock { $0 -= 1 }
            helpersInside.signal()
        }
    }

    /// A separate function: when it returns, this thread no longer holds any part of the loop's body, and its caller
    /// may end.
    private func takePart(_ seen: inout Int) -> Guarded<Int>? {
        guard let loop = next(after: &seen) else { return nil }
        loop.work()
        return loop.helpersInside
    }

    /// Waits for a loop that this helper has not seen, and enters it; nil when the team is closed.
    private func next(after seen: inout Int) -> Loop? {
        let last = seen
        return state.withLock(when: { $0.isClosed || ($0.loop != nil && $0.loopNumber != last) }) { state in
            guard !state.isClosed, let loop = state.loop else { return nil }
            seen = state.loopNumber
            loop.helpersInside.withLock { $0 += 1 }
            return loop
        }
    }
}

/// One loop. It hands out numbers in order, each once.
private final class Loop: Sendable {
    private let count: Int
    private let body: @Sendable (Int) -> Void
    private let given = Atomic(0)
    /// A separate object, so that a helper can leave the loop without holding it.
    let helpersInside = Guarded(0)

    init(count: Int, body: @escaping @Sendable (Int) -> Void) {
        self.count = count
        self.body = body
    }

    /// Does the calls that no other thread has begun.
    func work() {
        while true {
            let number = given.add(1, ordering: .relaxed).oldValue
            if number >= count { return }
            body(number)
        }
    }
}
