// What an opener is told that lowers the quota below what is in use.

/// A quota that was lowered below what is in use: the next write evicts down to it.
public struct QuotaNotice: Hashable, Sendable, CustomStringConvertible {
    /// The quota until now.
    public let previous: ByteCount
    /// The quota from now on.
    public let quota: ByteCount
    /// Bytes in use, as the quota counts them.
    public let usedBytes: ByteCount
    /// Pages stored.
    public let pages: Int

    package init(previous: ByteCount, quota: ByteCount, usedBytes: ByteCount, pages: Int) {
        self.previous = previous
        self.quota = quota
        self.usedBytes = usedBytes
        self.pages = pages
    }

    /// Bytes that the next write evicts, at least.
    public var excessBytes: ByteCount { ByteCount(usedBytes.value - quota.value) }

    /// Pages that will go, about: by the average size of those that are stored.
    public var pagesToEvict: Int {
        Int((Double(pages) * Double(excessBytes.value) / Double(usedBytes.value)).rounded(.up))
    }

    /// What happens, in one sentence.
    public var description: String {
        "The quota goes from \(previous) to \(quota), below the \(usedBytes) in use: the next write evicts about "
            + "\(pagesToEvict) of \(pages) pages."
    }
}
