// The notice for an opener that lowers the quota below what is in use.

/// A quota that was lowered below what is in use: the next write evicts down to it.
public struct QuotaNotice: Hashable, Sendable, CustomStringConvertible {
    /// The quota before.
    public let previous: ByteCount
    /// The quota from now on.
    public let quota: ByteCount
    /// Bytes in use, as the quota counts them.
    public let usedBytes: ByteCount
    /// Number of pages stored.
    public let pages: Int

    package init(previous: ByteCount, quota: ByteCount, usedBytes: ByteCount, pages: Int) {
        self.previous = previous
        self.quota = quota
        self.usedBytes = usedBytes
        self.pages = pages
    }

    /// The least number of bytes that the next write evicts.
    public var excessBytes: ByteCount { ByteCount(usedBytes.value - quota.value) }

    /// About how many pages will be evicted, judged by the average size of the stored pages.
    public var pagesToEvict: Int {
        Int((Double(pages) * Double(excessBytes.value) / Double(usedBytes.value)).rounded(.up))
    }

    /// What happens, in one sentence.
    public var description: String {
        "The quota changes from \(previous) to \(quota), below the \(usedBytes) in use: the next write evicts about "
            + "\(pagesToEvict) of \(pages) pages, as far as they are not pinned."
    }
}
