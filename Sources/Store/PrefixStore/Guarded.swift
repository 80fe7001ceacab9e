// A value that only its lock gives out.

internal import Threads

/// A value guarded by a mutex of its own. Thread-safe.
final class Guarded<Value>: @unchecked Sendable {
    // Unchecked because `value` is only touched under `mutex`.
    private let mutex = Mutex()
    private var value: Value

    init(_ value: Value) { self.value = value }

    func withLock<R>(_ body: (inout Value) -> R) -> R { mutex.withLock { body(&value) } }
}
