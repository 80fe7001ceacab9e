// One thing at a time from one thread to another.

internal import Threads

/// A place where a thread hands its work to the next and waits until that has taken it: neither can run ahead of the
/// other by more than one piece. Thread-safe, for one thread on each side.
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

    /// Says that nothing comes any more, once all that was given has been taken.
    func end() {
        state.withLock { $0.isEnded = true }
        state.broadcast()
    }
}
