// Counts the transactions of this process, and holds new ones back while the map is mapped anew or closed.

import Glibc

/// The gate every transaction passes. Many may be inside; remapping and closing need it empty.
///
/// A class around a pthread mutex and condition, whose addresses must not change; Thread Sanitizer understands both.
@safe
final class TransactionGate: @unchecked Sendable {  // every stored variable is read and written under `mutex`
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>
    private var inside = 0
    private var isHeld = false
    private var isShut = false
    private let waitMilliseconds: Int

    init(waitMilliseconds: Int = LMDBLimits.remapWaitMilliseconds) {
        self.waitMilliseconds = waitMilliseconds
        unsafe mutex = .allocate(capacity: 1)
        unsafe pthread_mutex_init(mutex, nil)
        unsafe changed = .allocate(capacity: 1)
        var attributes = pthread_condattr_t()
        unsafe pthread_condattr_init(&attributes)
        unsafe pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        unsafe pthread_cond_init(changed, &attributes)
        unsafe pthread_condattr_destroy(&attributes)
    }

    deinit {
        unsafe pthread_cond_destroy(changed)
        unsafe changed.deallocate()
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    /// How many transactions are inside now.
    var count: Int {
        lock()
        defer { unlock() }
        return inside
    }

    /// Lets one transaction in, after a remap that is under way. Throws `.closed` for ever after `shut`, and
    /// `.mapResized` when the remap does not end: only a transaction begun inside another can cause that.
    func enter() throws(LMDBError) {
        lock()
        defer { unlock() }
        let deadline = Deadline(milliseconds: waitMilliseconds)
        while isHeld && !isShut {
            guard wait(until: deadline) else { throw .mapResized }
        }
        guard !isShut else { throw .closed }
        inside += 1
    }

    /// Counts one transaction out.
    func leave() {
        lock()
        defer { unlock() }
        precondition(inside > 0, "a transaction left that never entered")
        inside -= 1
        if inside == 0 { unsafe pthread_cond_broadcast(changed) }
    }

    /// Runs `body` while no transaction is inside. Throws `.mapResized` when they don't leave in time.
    func whileEmpty(_ body: () throws(LMDBError) -> Void) throws(LMDBError) {
        lock()
        defer { unlock() }
        let deadline = Deadline(milliseconds: waitMilliseconds)
        while isHeld && !isShut {
            guard wait(until: deadline) else { throw .mapResized }
        }
        guard !isShut else { throw .closed }
        isHeld = true
        defer {
            isHeld = false
            unsafe pthread_cond_broadcast(changed)
        }
        while inside > 0 {
            guard wait(until: deadline) else { throw .mapResized }
        }
        try body()
    }

    /// Lets nobody in any more, waits until all have left, and runs `body` the first time only.
    func shut(_ body: () -> Void) {
        lock()
        defer { unlock() }
        guard !isShut else { return }
        isShut = true
        unsafe pthread_cond_broadcast(changed)
        while inside > 0 || isHeld {
            unsafe pthread_cond_wait(changed, mutex)
        }
        body()
    }

    private func lock() { unsafe pthread_mutex_lock(mutex) }

    private func unlock() { unsafe pthread_mutex_unlock(mutex) }

    /// Waits for a change; `false` once the deadline has passed.
    private func wait(until deadline: Deadline) -> Bool {
        var time = deadline.time
        return unsafe pthread_cond_timedwait(changed, mutex, &time) != ETIMEDOUT
    }
}

/// A moment of the monotonic clock.
private struct Deadline {
    let time: timespec

    init(milliseconds: Int) {
        var now = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &now)
        let nanoseconds = now.tv_nsec + (milliseconds % 1_000) * 1_000_000
        time = timespec(
            tv_sec: now.tv_sec + milliseconds / 1_000 + nanoseconds / 1_000_000_000,
            tv_nsec: nanoseconds % 1_000_000_000)
    }
}
