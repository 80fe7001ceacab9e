// Counts the transactions of this process, and holds back new ones while the file is mapped again or closed.

internal import Threads

/// The gate that every transaction passes. Many may be inside at once. Mapping the file again and closing need it
/// empty.
final class TransactionGate: Sendable {
    struct State {
        /// Transactions of this process that are open now.
        var inside = 0
        var isHeld = false
        var isShut = false
    }

    let state = Guarded(State())
    private let patience: Duration

    init(patience: Duration = LMDBLimits.remapPatience) { self.patience = patience }

    /// Lets one transaction in. If the file is being mapped again, it waits for that. Throws `.closed` after `shut`,
    /// and `.mapResized` when the mapping does not end, which only a transaction begun inside another can cause.
    func enter() throws(LMDBError) {
        let isIn = state.withLock(when: { !$0.isHeld || $0.isShut }, before: .after(patience)) { state in
            if !state.isShut { state.inside += 1 }
            return !state.isShut
        }
        guard let isIn else { throw .mapResized }
        guard isIn else { throw .closed }
    }

    /// Counts one transaction out.
    func leave() {
        let isEmpty = state.withLock { state in
            precondition(state.inside > 0, "a transaction left that never entered")
            state.inside -= 1
            return state.inside == 0
        }
        if isEmpty { state.broadcast() }
    }

    /// Runs `body` while no transaction is inside. Throws `.mapResized` when the transactions do not leave in time.
    func whileEmpty(_ body: () throws(LMDBError) -> Void) throws(LMDBError) {
        let deadline = Deadline.after(patience)
        let isMine = state.withLock(when: { !$0.isHeld || $0.isShut }, before: deadline) { state in
            if !state.isShut { state.isHeld = true }
            return !state.isShut
        }
        guard let isMine else { throw .mapResized }
        guard isMine else { throw .closed }
        defer {
            state.withLock { $0.isHeld = false }
            state.broadcast()
        }
        guard state.wait(until: { $0.inside == 0 }, before: deadline) else { throw .mapResized }
        try body()
    }

    /// Lets no more transactions in, waits until all have left, and runs `body`. A later call does nothing.
    func shut(_ body: () -> Void) {
        let isFirst = state.withLock { state in
            defer { state.isShut = true }
            return !state.isShut
        }
        guard isFirst else { return }
        state.broadcast()
        state.withLock(when: { $0.inside == 0 && !$0.isHeld }) { _ in body() }
    }
}
