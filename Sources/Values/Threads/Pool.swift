// Things that are dear to make and used by one thread at a time: decoders with their scratch memory, for instance.

/// Lends items, one a call, and makes one when none is idle. Thread-safe; items are not shared while they are lent.
package final class Pool<Item>: @unchecked Sendable {
    // Unchecked because the list is read and written under the mutex, and an item is out of the list while it is lent.
    private let mutex = Mutex()
    private let make: @Sendable () -> Item
    private var idle: [Item] = []

    /// A pool that is empty at first.
    package init(_ make: @escaping @Sendable () -> Item) { self.make = make }

    /// Makes `count` items now, so that the first to borrow one need not.
    package func fill(_ count: Int) {
        let made = (0..<count).map { _ in make() }
        mutex.withLock { idle += made }
    }

    /// Lends an item for the length of the call.
    package func withItem<R, E: Error>(_ body: (Item) throws(E) -> R) throws(E) -> R {
        let item = mutex.withLock { idle.popLast() } ?? make()
        defer { mutex.withLock { idle.append(item) } }
        return try body(item)
    }
}
