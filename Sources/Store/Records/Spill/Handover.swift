// Passes one value at a time from one thread to another.

internal import Threads

/// A place where one thread hands its work to the next thread and waits until that thread has taken it. So neither gets
/// ahead of the other by more than one piece. Thread-safe, for one thread on each side.
final class Handover<Value: Sendable>: Sendable {
    private struct State {
        var value: Value?
        var isEnded = false
    }

    private let state = Guarded(State())

    /// Returns when the other side has taken `value`.
    func give(_ value: Value) {
        state.withLock { $0.value = value }
        state.broadcast()
        state.wait { $0.value == nil }
    }

    /// Waits for the next value; nil when there will be none.
    func take() -> Value? {
        let taken = state.withLock(when: { $0.value != nil || $0.isEnded }) { state in
            defer { state.value = nil }
            return state.value
        }
        state.broadcast()
        return taken
    }

    /// Ends the handover after everything given has been taken.
    func end() {
        state.withLock { $0.isEnded = true }
        state.broadcast()
    }
}
