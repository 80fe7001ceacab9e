// How much more is evicted than the quota asks for, so that the next records find room in the file.

internal import Synchronization

/// Bytes that puts keep free below the quota. Thread-safe.
///
/// When the file has reached its bound, a record fits only where enough neighbouring pages are free, and what a
/// transaction frees can be used two transactions later. A put that fails for want of room costs its own writes and
/// three transactions more. So each failure makes the following puts evict more, as part of their own transactions, and
/// each success a little less: the store finds by itself how much must be free for the sizes of its records.
final class EvictionCushion: Sendable {
    private let bytes = Atomic(0)

    /// Bytes to keep free now.
    var current: Int { bytes.load(ordering: .relaxed) }

    /// After a put of `wanted` bytes has found no room.
    func raise(by wanted: Int, upTo limit: Int) {
        bytes.store(min(current + wanted, limit), ordering: .relaxed)
    }

    /// After a put has found room.
    func lower() {
        let now = current
        if now > 0 { bytes.store(now - max(now / Self.successes, 1), ordering: .relaxed) }
    }

    /// After about as many successes without a failure, half of it has gone. A failure costs as much as four successes.
    private static let successes = 64
}
