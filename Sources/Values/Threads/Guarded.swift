// A value that can be reached only under its lock, and a condition to wait for changes of it.

/// A value guarded by its own mutex. Thread-safe.
///
/// Code can reach the value only inside the closures given here, so nobody can forget the lock. The closures run under
/// the lock: keep them short, and never call the same `Guarded` from inside one, because that deadlocks. A thread that
/// needs a change of the value waits with `withLock(when:)`. The thread that makes the change calls `signal` or
/// `broadcast`, inside its closure or after it.
///
/// A closure cannot wait in its middle, because another thread would then change the value while the closure uses it.
package final class Guarded<Value>: @unchecked Sendable {
    // Unchecked because `value` is only touched under `mutex`.
    @usableFromInline
    let mutex = Mutex()
    @usableFromInline
    let changed = Condition()
    @usableFromInline
    var value: Value

    /// Takes over `value`. If it is an object, nothing else may refer to it.
    package init(_ value: Value) { self.value = value }

    /// Runs `body` with the value while no other thread can reach it. Waits as long as another thread is inside.
    @inlinable @inline(__always)
    package func withLock<R: ~Copyable, E: Error>(_ body: (inout Value) throws(E) -> R) throws(E) -> R {
        try mutex.withLock { () throws(E) -> R in try body(&value) }
    }

    /// Waits until `isReady` holds and runs `body` before it can change again.
    ///
    /// `isReady` is called at once, and again after each signal. So the thread that makes it true must signal.
    @inlinable @inline(__always)
    package func withLock<R: ~Copyable, E: Error>(
        when isReady: (Value) -> Bool, _ body: (inout Value) throws(E) -> R
    ) throws(E) -> R {
        try mutex.withLock { () throws(E) -> R in
            while !isReady(value) { changed.wait(mutex) }
            return try body(&value)
        }
    }

    /// Waits until `isReady` holds or the deadline has passed. Runs `body` in the first case, and returns nil in the
    /// second. If the value is ready when the thread wakes, it counts as ready, however late that is.
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

    /// Wakes one waiting thread. Use it where all of them wait for the same change and one is enough.
    @inlinable @inline(__always)
    package func signal() { changed.signal() }

    /// Wakes all threads that wait.
    @inlinable @inline(__always)
    package func broadcast() { changed.broadcast() }
}
