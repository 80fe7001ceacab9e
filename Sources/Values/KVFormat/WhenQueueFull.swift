// What an insert does when the queue to the disk is full.

/// What `insert` does when the spill queue is full.
public enum WhenQueueFull: Hashable, Sendable {
    /// Waits for room: the engine slows down to the disk's speed, and no page is lost.
    case wait
    /// Does not store the page in the cold tier, and counts it: the engine is never slowed down.
    case drop
}
