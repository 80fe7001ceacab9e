// One thing at a time from one thread to another.

internal import Threads

/// A place where a thread hands its work to the next and waits until that has taken it: neither can run ahead of the other
/// by more than one piece. Thread-safe, for one thread on each side.
final class Handover<Value: Sendable>: @unchecked Sendable {
    // Unchecked because every variable is touched under `mutex`.
    private let mutex = Mutex()
    private let changed = Condition()
    private var value: Value?
    private var isEnded = false

    /// Returns when the other side has taken `value`.
    func give(_ value: Value) {
        mutex.withLock {
            self.value = value
            changed.broadcast()
            while self.value != nil { changed.wait(mutex) }
        }
    }

    /// Waits for the next value; nil when there will be none.
    func take() -> Value? {
        mutex.withLock {
            while value == nil && !isEnded { changed.wait(mutex) }
            defer {
                value = nil
                changed.broadcast()
            }
            return value
        }
    }

    /// Says that nothing comes any more, once all that was given has been taken.
    func end() {
        mutex.withLock {
            isEnded = true
            changed.broadcast()
        }
    }
}
