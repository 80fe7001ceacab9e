// A number that many threads add to.

package import Synchronization

/// A number that many threads add to. Relaxed: nothing is ordered by it.
package final class Counter: Sendable {
    @usableFromInline
    let number = Atomic<UInt64>(0)

    /// A number that is 0.
    package init() {}

    /// The sum so far.
    @inlinable
    package var value: UInt64 { number.load(ordering: .relaxed) }

    /// Wraps: callers report times of their own, and no report may end the process.
    @inlinable
    package func add(_ amount: UInt64) { number.wrappingAdd(amount, ordering: .relaxed) }

    /// Replaces the number; of two threads that do so at once, one is lost.
    @inlinable
    package func set(_ value: UInt64) { number.store(value, ordering: .relaxed) }
}
