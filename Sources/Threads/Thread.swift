// The store's own threads: plain pthreads, started at first need.
//
// No Swift concurrency under the store: a forked child hangs on its next `Task` once the parent has used one.

internal import Glibc

/// A running thread. `join()` waits for its end; a thread that is never joined keeps its stack until the process ends.
@safe
package final class Thread: @unchecked Sendable {
    // Unchecked because `joined` is guarded by the mutex and the handle never changes.
    private let handle: pthread_t
    private let mutex = Mutex()
    private var joined = false

    /// Starts a thread that runs `body` once.
    ///
    /// - Throws: `ThreadError` when the system has no room for another thread; nothing was started then.
    package init(_ body: @escaping @Sendable () -> Void) throws(ThreadError) {
        let start = unsafe Unmanaged.passRetained(Start(body))
        var thread = pthread_t()
        let status = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.body()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            unsafe start.release()
            throw ThreadError(errno: status)
        }
        handle = thread
    }

    /// Waits until the thread has ended. Calling it again returns at once.
    package func join() {
        mutex.withLock {
            guard !joined else { return }
            joined = true
            pthread_join(handle, nil)
        }
    }
}

/// The system refused another thread; `errno` says why (`EAGAIN`: a limit on threads or memory).
package struct ThreadError: Error, Equatable, Sendable {
    /// The error number of `pthread_create`.
    package let errno: Int32
}

private final class Start: Sendable {
    let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) {
        self.body = body
    }
}
