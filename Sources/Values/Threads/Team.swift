// A few threads that share one piece of work at a time: decoding the frames of a match, for instance.

internal import Glibc
internal import Synchronization

/// Threads that help a caller through a loop. Thread-safe; the helpers are started at first need, sleep between loops,
/// and keep the team alive until `close()`: whoever makes a team closes it.
///
/// One loop runs at a time. A caller that finds the helpers busy goes through its loop alone, so that nobody ever waits
/// for another's work.
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

    /// A team of `helpers` threads beside the caller; 0 makes every loop the caller's own. Give background helpers to
    /// callers in the background only: whoever calls waits for all of them.
    package init(helpers: Int, priority: ThreadPriority = .normal) {
        helperCount = max(0, helpers)
        self.priority = priority
    }

    /// Cores beside the caller's, up to 3: two threads come near the memory's speed, and a store is a guest in its
    /// process.
    package static var spareCores: Int { min(3, max(0, sysconf(Int32(_SC_NPROCESSORS_ONLN)) - 1)) }

    /// Calls `body` once with each number below `count`, from several threads at once, in rising order of the
    /// beginning. Returns when all calls have ended.
    ///
    /// - Parameter isShared: false when so little is to be done that waking the helpers would take as long: the caller
    ///   does all of it then.
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

    /// Starts the helpers now, so that the first loop need not wait for that.
    package func start() { state.withLock { if !$0.isClosed { _ = startHelpers(&$0.helpers) } } }

    /// Ends the helpers. Later loops are the callers' own.
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

    /// Takes the loop back and waits for the helpers that are inside it: `body` ends with its caller.
    private func withdraw(_ loop: Loop) {
        state.withLock { $0.loop = nil }
        loop.helpersInside.wait(until: { $0 == 0 })
    }

    /// Called under the lock. A system that gives no thread costs speed only.
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
            // The last to leave wakes the loop's caller, and touches nothing of the loop after that.
            helpersInside.withLock { $0 -= 1 }
            helpersInside.signal()
        }
    }

    /// A function of its own: when it returns, this thread holds nothing of the loop's body any more, and its caller
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

/// One loop: numbers are given out in order, each once.
private final class Loop: Sendable {
    private let count: Int
    private let body: @Sendable (Int) -> Void
    private let given = Atomic(0)
    /// An object apart, so that a helper can leave the loop without holding it.
    let helpersInside = Guarded(0)

    init(count: Int, body: @escaping @Sendable (Int) -> Void) {
        self.count = count
        self.body = body
    }

    /// Does what nobody else has begun.
    func work() {
        while true {
            let number = given.add(1, ordering: .relaxed).oldValue
            if number >= count { return }
            body(number)
        }
    }
}
