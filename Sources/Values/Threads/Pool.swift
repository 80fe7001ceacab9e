// Items that are expensive to make and used by one thread at a time, for example decoders with their scratch memory.

/// Lends items, one per call, and makes one when all are lent. Thread-safe; items are not shared while they are lent.
package final class Pool<Item>: Sendable {
    private let make: @Sendable () -> Item
    private let idle = Guarded<[Item]>([])

    /// A pool that is empty at first.
    package init(_ make: @escaping @Sendable () -> Item) { self.make = make }

    /// Makes `count` items now, so that the first borrowers do not have to wait for them.
    package func fill(_ count: Int) {
        var made: [Item] = []
        while made.count < count { made.append(make()) }
        idle.withLock { $0 += made }
    }

    /// Lends an item for the length of the call.
    package func withItem<R, E: Error>(_ body: (Item) throws(E) -> R) throws(E) -> R {
        let item = idle.withLock { $0.popLast() } ?? make()
        defer { idle.withLock { $0.append(item) } }
        return try body(item)
    }
}
