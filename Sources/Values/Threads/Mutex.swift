// A pthread mutex and its condition variable.
//
// This is not `Synchronization.Mutex`, because Thread Sanitizer does not see its futex code on Linux and would report a
// race on every value that it guards. It does see pthreads, which also work after `fork`.

internal import Glibc

/// A mutual exclusion lock. Not recursive: a thread that takes it twice deadlocks. Thread-safe.
@safe
package final class Mutex: @unchecked Sendable {
    // Unchecked because the handle is only passed to pthread functions, which are made for sharing.
    fileprivate let handle: UnsafeMutablePointer<pthread_mutex_t>

    /// Makes an unlocked mutex.
    package init() {
        unsafe handle = .allocate(capacity: 1)
        unsafe handle.initialize(to: pthread_mutex_t())
        let status = unsafe pthread_mutex_init(handle, nil)
        precondition(status == 0, "pthread_mutex_init failed with \(status)")
    }

    deinit {
        unsafe pthread_mutex_destroy(handle)
        unsafe handle.deallocate()
    }

    /// Runs `body` while holding the lock; waits for as long as another thread holds it.
    @inlinable @inline(__always)
    package func withLock<R: ~Copyable, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        lock()
        defer { unlock() }
        return try body()
    }

    @usableFromInline
    func lock() { unsafe pthread_mutex_lock(handle) }

    @usableFromInline
    func unlock() { unsafe pthread_mutex_unlock(handle) }
}

/// A condition that threads wait for under a `Mutex`. Thread-safe.
@safe
package final class Condition: @unchecked Sendable {
    // Unchecked for the reason given at `Mutex`.
    private let handle: UnsafeMutablePointer<pthread_cond_t>

    /// Makes a condition that nobody waits for.
    package init() {
        unsafe handle = .allocate(capacity: 1)
        unsafe handle.initialize(to: pthread_cond_t())
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        // The monotonic clock: a wait with a deadline must not hang when the wall clock jumps.
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        let status = unsafe pthread_cond_init(handle, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
        precondition(status == 0, "pthread_cond_init failed with \(status)")
    }

    deinit {
        unsafe pthread_cond_destroy(handle)
        unsafe handle.deallocate()
    }

    /// Releases `mutex`, waits for a signal, and takes the mutex again. It may return without a signal: call it in a
    /// loop that tests the condition.
    package func wait(_ mutex: Mutex) { unsafe pthread_cond_wait(handle, mutex.handle) }

    /// As `wait`, until `deadline` at the latest. Returns false when that has passed.
    package func wait(_ mutex: Mutex, until deadline: Deadline) -> Bool {
        var time = timespec(
            tv_sec: Int(deadline.nanoseconds / 1_000_000_000), tv_nsec: Int(deadline.nanoseconds % 1_000_000_000))
        return unsafe pthread_cond_timedwait(handle, mutex.handle, &time) == 0
    }

    /// As `wait`, for at most `milliseconds`. Returns false when the time ran out.
    package func wait(_ mutex: Mutex, milliseconds: Int) -> Bool {
        wait(mutex, until: .after(.milliseconds(milliseconds)))
    }

    /// Wakes one waiting thread.
    package func signal() { unsafe pthread_cond_signal(handle) }

    /// Wakes all waiting threads.
    package func broadcast() { unsafe pthread_cond_broadcast(handle) }
}
