// What an insert or a put does when the queue to the disk is full.

/// What `Space.insert` and `BlockSpace.put` do when the spill queue is full. `flush()` and `close()` always wait.
public enum WhenQueueFull: Hashable, Sendable {
    /// Waits for room: the engine slows down to the disk's speed, and no page is lost.
    case wait
    /// Does not queue the page or block, and counts it in `StoreStatistics.droppedPages`: the engine is never slowed
    /// down. A page that is still in RAM on `flush()` or `close()` is written then.
    case drop
}
