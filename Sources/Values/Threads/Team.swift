// A few threads that share one piece of work at a time: decoding the frames of a match, for instance.

internal import Synchronization

/// Threads that help a caller through a loop. Thread-safe; the helpers are started at first need, sleep between loops, and keep
/// the team alive until `close()`: whoever makes a team closes it.
///
/// One loop runs at a time. A caller that finds the helpers busy goes through its loop alone, so that nobody ever waits for
/// another's work.
package final class Team: @unchecked Sendable {
    // Unchecked because every variable is touched under `mutex`; a loop's own counters are atomic.
    private let helperCount: Int
    private let priority: ThreadPriority
    private let mutex = Mutex()
    private let begin = Condition()
    private let end = Condition()
    private var helpers: [Thread] = []
    private var loop: Loop?
    private var loopNumber = 0
    private var active = 0
    private var isClosed = false

    /// A team of `helpers` threads beside the caller; 0 makes every loop the caller's own. Give background helpers to callers
    /// in the background only: whoever calls waits for all of them.
    package init(helpers: Int, priority: ThreadPriority = .normal) {
        helperCount = max(0, helpers)
        self.priority = priority
    }

    /// Calls `body` once with each number below `count`, from several threads at once, in rising order of the beginning.
    /// Returns when all calls have ended.
    package func forEach(_ count: Int, _ body: @Sendable (Int) -> Void) {
        withoutActuallyEscaping(body) { body in
            let loop = Loop(count: count, body: body)
            let isShared = count > 1 && share(loop)
            loop.work()
            if isShared { withdraw() }
        }
    }

    /// Starts the helpers now, so that the first loop need not wait for that.
    package func start() { mutex.withLock { if !isClosed { _ = startHelpers() } } }

    /// Ends the helpers. Later loops are the callers' own.
    package func close() {
        let ended = mutex.withLock {
            isClosed = true
            begin.broadcast()
            defer { helpers = [] }
            return helpers
        }
        for helper in ended { helper.join() }
    }

    private func share(_ loop: Loop) -> Bool {
        mutex.withLock {
            guard self.loop == nil, !isClosed, startHelpers() else { return false }
            self.loop = loop
            loopNumber += 1
            begin.broadcast()
            return true
        }
    }

    /// Takes the loop back and waits for the helpers that are inside it: `body` ends with its caller.
    private func withdraw() {
        mutex.withLock {
            loop = nil
            while active > 0 { end.wait(mutex) }
        }
    }

    /// Called under the lock. A system that gives no thread costs speed only.
    private func startHelpers() -> Bool {
        while helpers.count < helperCount {
            guard let helper = try? Thread(priority: priority, { self.help() }) else { break }
            helpers.append(helper)
        }
        return !helpers.isEmpty
    }

    private func help() {
        var seen = 0
        while takePart(&seen) {
            mutex.withLock {
                active -= 1
                if active == 0 { end.broadcast() }
            }
        }
    }

    /// A function of its own: when it returns, this thread holds nothing of the loop any more, and its caller may end.
    private func takePart(_ seen: inout Int) -> Bool {
        guard let loop = next(after: &seen) else { return false }
        loop.work()
        return true
    }

    private func next(after seen: inout Int) -> Loop? {
        mutex.withLock {
            while true {
                if isClosed { return nil }
                if let loop, loopNumber != seen {
                    seen = loopNumber
                    active += 1
                    return loop
                }
                begin.wait(mutex)
            }
        }
    }
}

/// One loop: numbers are given out in order, each once.
private final class Loop: Sendable {
    private let count: Int
    private let body: @Sendable (Int) -> Void
    private let given = Atomic(0)

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
