// Writing beyond the limit on the size of files (`ulimit -f`) as an error.

internal import Glibc

/// The system answers a write beyond the limit with the signal SIGXFSZ, which ends the process unless the host has
/// asked for something else. A library must not ask for it in the host's name, so it holds the signal back on its own
/// thread.
package enum FileLimit {
    /// Runs `body` on this thread with the signal held back: a write beyond the limit fails with `EFBIG`. The thread's
    /// signals are then as they were.
    package static func isError<R, E: Error>(during body: () throws(E) -> R) throws(E) -> R {
        var own = signals
        var before = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, &own, &before)
        defer {
            if unsafe sigismember(&before, SIGXFSZ) == 0 {
                // One that came meanwhile would be delivered as soon as the signal is let through.
                var none = timespec(tv_sec: 0, tv_nsec: 0)
                while unsafe sigtimedwait(&own, nil, &none) == SIGXFSZ {}
                unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
            }
        }
        return try body()
    }

    /// Holds the signal back on this thread from now on: for a thread of the store's own.
    static func isAlwaysError() {
        var own = signals
        unsafe pthread_sigmask(SIG_BLOCK, &own, nil)
    }

    private static var signals: sigset_t {
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGXFSZ)
        return signals
    }
}
