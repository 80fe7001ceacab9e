// A value that only its lock gives out, and a condition to wait for changes of it.

/// A value guarded by a mutex of its own. Thread-safe.
///
/// The value is touched only inside the closures given here, so nobody can forget the lock. They run under the lock:
/// keep them short, and never call the same `Guarded` from inside one, which deadlocks. A thread that needs a change of
/// the value waits with `withLock(when:)`; whoever makes that change calls `signal` or `broadcast`, inside its closure
/// or after it.
///
/// There is no wait in the middle of a closure: another thread would change the value while the closure has it to
/// itself.
package final class Guarded<Value>: @unchecked Sendable {
    // Unchecked because `value` is only touched under `mutex`.
    @usableFromInline
    let mutex = Mutex()
    @usableFromInline
    let changed = Condition()
    @usableFromInline
    var value: Value

    /// Takes `value` over; nothing else may refer to it if it is an object.
    package init(_ value: Value) { self.value = value }

    /// Runs `body` with the value, alone. Waits for as long as another thread is inside.
    @inlinable @inline(__always)
    package func withLock<R: ~Copyable, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
        try mutex.withLock { () throws(E) -> R in try body(&value) }
    }

    /// Waits until `isReady` holds and runs `body` before it can change again.
    ///
    /// `isReady` is asked at once, and after each signal: whoever makes it true has to signal.
    @inlinable @inline(__always)
    package func withLock<R: ~Copyable, E: Error>(
        when isReady: (Value) -> Bool, _ body: (inout Value) throws(E) -> R
    ) throws(E) -> R {
        try mutex.withLock { () throws(E) -> R in
            while !isReady(value) { changed.wait(mutex) }
            return try body(&value)
        }
    }

    /// Waits until `isReady` holds or the deadline has passed, and runs `body` in the first case. Returns nil in the
    /// second; a value that is ready by then counts as ready, however late the thread wakes.
    @inlinable @inline(__always)
    package func withLock<R, E: Error>(
        when isReady: (Value) -> Bool, before deadline: Deadline, _ body: (inout Value) throws(E) -> R
    ) throws(E) -> R? {
        try mutex.withLock { () throws(E) -> R? in
            var isInTime = true
            while !isReady(value) {
                guard isInTime else { return nil }
                isInTime = changed.wait(mutex, until: deadline)
            }
            return try body(&value)
        }
    }

    /// Waits until `isReady` holds.
    @inlinable @inline(__always)
    package func wait(until isReady: (Value) -> Bool) { withLock(when: isReady) { _ in } }

    /// Waits until `isReady` holds or the deadline has passed; false in the second case.
    @inlinable @inline(__always)
    package func wait(until isReady: (Value) -> Bool, before deadline: Deadline) -> Bool {
        withLock(when: isReady, before: deadline) { _ in } != nil
    }

    /// Wakes one thread that waits; right where all of them wait for the same and one is enough.
    @inlinable @inline(__always)
    package func signal() { changed.signal() }

    /// Wakes all threads that wait.
    @inlinable @inline(__always)
    package func broadcast() { changed.broadcast() }
}
