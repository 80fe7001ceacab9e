// What a trim did.

/// What a trim did, or would do. A value type.
public struct TrimReport: Sendable, Equatable, Encodable {
    /// Pages evicted.
    public package(set) var pages: Int
    /// Bytes given free, index included.
    public package(set) var freedBytes: ByteCount
    /// Bytes in use afterwards, as the quota counts them.
    public package(set) var usedBytes: ByteCount
    /// Whether the target was reached; not when the rest is pinned.
    public package(set) var isComplete: Bool

    /// What was done so far.
    package init(pages: Int, freedBytes: ByteCount, usedBytes: ByteCount, isComplete: Bool) {
        self.pages = pages
        self.freedBytes = freedBytes
        self.usedBytes = usedBytes
        self.isComplete = isComplete
    }
}
