// The engine's threads, from Swift.

import CEngine

/// A fixed number of threads that share the tasks of one call at a time; the caller is one of them.
@safe
final class WorkerPool: @unchecked Sendable {
    // Unchecked: the pool's own state is atomic, and only the engine's thread calls `run`.
    private let pool: OpaquePointer
    /// Number of threads, including the caller's.
    let threadCount: Int

    /// Starts `threads` - 1 threads. If the system refuses some, only speed is lost.
    init(threads: Int) {
        guard let pool = unsafe cengine_pool_create(threads) else { preconditionFailure("out of memory") }
        unsafe self.pool = pool
        threadCount = threads
    }

    /// Calls `body(task, thread)` for each task below `count`, on several threads, and returns when all are done. Which
    /// thread (0 to `threadCount` - 1) runs which task is random, so no result may depend on it.
    func run(_ count: Int, _ body: (Int, Int) -> Void) {
        typealias Body = (Int, Int) -> Void
        withoutActuallyEscaping(body) { body in
            var body = body
            unsafe withUnsafeMutablePointer(to: &body) { pointer in
                unsafe cengine_pool_run(
                    pool, count,
                    { context, task, thread in
                        guard let context = unsafe context else { return }
                        unsafe context.assumingMemoryBound(to: Body.self).pointee(task, thread)
                    }, pointer)
            }
        }
    }

    deinit { unsafe cengine_pool_destroy(pool) }
}
