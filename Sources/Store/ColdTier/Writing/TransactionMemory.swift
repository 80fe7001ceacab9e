// Memory that large transactions use one after the other.

internal import LMDB
internal import Threads

/// Keeps the memory of the writing thread's transactions from one to the next. Thread-safe. It serves only the first
/// thread that calls it, because one thread of a store runs all its write transactions.
final class TransactionMemory: Sendable {
    /// Enough for batches of 32 MiB that encoding does not shrink: the slot of a record is a little larger than the
    /// record.
    private static let byteCount = 36 << 20

    private let held = Guarded<HeapReserve?>(nil)

    /// Called in every large transaction, on its thread: the reserve is that of the calling thread's heap.
    func reserve() { held.withLock { if $0 == nil { $0 = HeapReserve(byteCount: Self.byteCount) } } }
}
