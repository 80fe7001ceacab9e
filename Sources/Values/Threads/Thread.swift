// The store's own threads: plain pthreads, which are started at first need.
//
// The store uses no Swift concurrency: once a process has used a `Task`, a forked child hangs on its next one.

internal import Glibc

/// The priority of a thread when there are more threads than cores.
package enum ThreadPriority: Sendable {
    /// The priority of the thread that starts it.
    case normal
    /// Below other threads: it is sure of a tenth of a core, and never interrupts a running thread. For work that
    /// nobody waits for while the cores are busy.
    case background
}

/// A running thread. `join()` waits for its end; a thread that is never joined keeps its stack until the process ends.
package final class Thread: Sendable {
    /// Bytes of each thread's stack. Without it, the process's limit on its own stack (`ulimit -s`) would decide, and a
    /// small one would end the process.
    private static let stackBytes = 2 << 20

    private let handle: pthread_t
    private let isJoined = Guarded(false)

    /// Starts a thread that runs `body` once.
    /// - Parameter priority: advice; a system that refuses it runs the thread like any other.
    /// - Throws: `ThreadError` when the system has no room for another thread. Then nothing was started.
    package init(
        priority: ThreadPriority = .normal, _ body: @escaping @Sendable () -> Void
    ) throws(ThreadError) {
        let start = unsafe Unmanaged.passRetained(Start(priority, body))
        var thread = pthread_t()
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, Self.stackBytes)
        let status = unsafe pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument = unsafe argument else { return nil }
                let start = unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                start.run()
                return nil
            }, start.toOpaque())
        guard status == 0 else {
            unsafe start.release()
            throw ThreadError(errno: status)
        }
        handle = thread
    }

    /// Waits until the thread has ended. A second call returns at once.
    package func join() {
        isJoined.withLock { isJoined in
            guard !isJoined else { return }
            isJoined = true
            pthread_join(handle, nil)
        }
    }

    /// Lets the thread end by itself: nobody will wait for it.
    package func detach() {
        isJoined.withLock { isJoined in
            guard !isJoined else { return }
            isJoined = true
            pthread_detach(handle)
        }
    }
}

/// The system refused another thread; `errno` says why (`EAGAIN`: a limit on threads or memory).
package struct ThreadError: Error, Equatable, Sendable {
    /// The error number of `pthread_create`.
    package let errno: Int32
}

private final class Start: Sendable {
    private let priority: ThreadPriority
    private let body: @Sendable () -> Void

    init(_ priority: ThreadPriority, _ body: @escaping @Sendable () -> Void) {
        self.priority = priority
        self.body = body
    }

    func run() {
        if priority == .background { Self.standBack() }
        body()
    }

    /// On Linux both calls apply to the calling thread. The policy is `SCHED_BATCH`, under which a thread does not
    /// interrupt another one when it wakes. Glibc declares its name only for programs with GNU extensions.
    private static func standBack() {
        _ = nice(10)
        var parameters = sched_param()
        unsafe _ = sched_setscheduler(0, 3, &parameters)
    }
}
