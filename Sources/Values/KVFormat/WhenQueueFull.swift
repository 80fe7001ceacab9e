// What inserting does when more pages wait for the disk than may.

/// What `insert` does when the spill queue is full.
public enum WhenQueueFull: Hashable, Sendable {
    /// Waits for room: the engine slows to the disk's speed and nothing is lost.
    case wait
    /// Leaves the page out of the cold tier and counts it: the engine is never slowed.
    case drop
}
