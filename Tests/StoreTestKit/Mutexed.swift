// A value that many threads of a test write.

import Dispatch
import Foundation

/// A value behind a lock.
public final class Mutexed<Value>: @unchecked Sendable {
    // Unchecked because `stored` is only touched under `lock`.
    private let lock = NSLock()
    private var stored: Value

    /// Begins with `value`.
    public init(_ value: Value) { stored = value }

    /// The value now.
    public var value: Value { lock.withLock { stored } }

    /// Changes the value.
    public func update(_ change: (inout Value) -> Void) { lock.withLock { change(&stored) } }
}

/// A thread of a test.
public final class Caller: @unchecked Sendable {
    // Unchecked because the semaphore is the only thing shared.
    private let done = DispatchSemaphore(value: 0)

    /// Starts a thread that runs `body`.
    public init(_ body: @escaping @Sendable () -> Void) {
        let done = done
        Thread {
            body()
            done.signal()
        }.start()
    }

    /// Waits until the body has ended.
    public func join() { done.wait() }
}
