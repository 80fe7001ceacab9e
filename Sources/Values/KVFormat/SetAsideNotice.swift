// The notice for an opener that found a damaged store and began a new one.

/// A store that could not be used any more: it was moved aside, and a new one was begun in its place.
public struct SetAsideNotice: Hashable, Sendable, CustomStringConvertible {
    /// The folder inside the store's folder in which the damaged files are now. The two newest such folders are kept,
    /// as long as they are together no larger than the quota.
    public let folder: String
    /// Why, in a few words.
    public let reason: String

    package init(folder: String, reason: String) {
        self.folder = folder
        self.reason = reason
    }

    /// What happened, in one sentence.
    public var description: String {
        "The store was damaged (\(reason)). It is now in \(folder), and a new store was begun."
    }
}
