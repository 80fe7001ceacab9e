// How many tokens each tier has, or gave.

/// Tokens, counted by the tier that has them or gave them.
public struct TokensByTier: Hashable, Sendable {
    /// Tokens in RAM.
    public var hot: Int
    /// Tokens that are only on disk.
    public var cold: Int
    /// Tokens that are only on the remote.
    public var remote: Int

    /// Tokens of all tiers.
    public var total: Int { hot + cold + remote }

    /// Counts of tokens; a tier that is not named has none.
    public init(hot: Int = 0, cold: Int = 0, remote: Int = 0) {
        self.hot = hot
        self.cold = cold
        self.remote = remote
    }

    /// Tier by tier.
    public static func + (left: Self, right: Self) -> Self {
        Self(hot: left.hot + right.hot, cold: left.cold + right.cold, remote: left.remote + right.remote)
    }
}
