// What people call a prefix.

/// A name and the prefix that it stands for. The prefix may be gone: a name keeps nothing, a pin does.
public struct NamedPrefix: Hashable, Encodable, Sendable {
    /// The name.
    public let name: String
    /// The prefix hash of the prefix's last page.
    public let hash: PrefixHash
    /// The root of its space.
    public let root: PrefixHash
    /// When the name was given.
    public let createdAt: Timestamp
    /// Whether the prefix's last page is stored.
    public let isStored: Bool

    /// A name, as a tier has it.
    package init(name: String, hash: PrefixHash, root: PrefixHash, createdAt: Timestamp, isStored: Bool) {
        self.name = name
        self.hash = hash
        self.root = root
        self.createdAt = createdAt
        self.isStored = isStored
    }
}
