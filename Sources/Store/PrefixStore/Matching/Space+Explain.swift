// Explain: what is stored of a sequence, and which other spaces could have been meant.

internal import ColdTier

/// What a store has of a sequence.
public struct Explanation: Sendable {
    /// Tokens that were asked for.
    public var requestedTokens: Int
    /// Tokens found, by tier.
    public var foundTokens: TokensByTier
    /// Pages found, the last perhaps in part.
    public var foundPages: Int
    /// About how long loading all of them takes.
    public var loadTime: Duration
    /// How many of them had best be loaded: all, those of the first tiers, or none.
    public var tokensWorthLoading: Int
    /// Root of the space that was asked.
    public var root: PrefixHash
    /// Other spaces of the store, those that differ in the fewest fields first: at most `Explanation.otherSpaces`.
    /// Spaces of blocks are not among them.
    public var others: [OtherSpace]

    /// The most other spaces that are named.
    public static let otherSpaces = 16

    /// A space whose pages were not looked at, and why.
    public struct OtherSpace: Sendable {
        /// Its root.
        public var root: PrefixHash
        /// Its labels.
        public var labels: [String: String]
        /// The fields of the identity in which it differs from the space that was asked.
        public var differences: [SpaceDescriptor.Field]
    }
}

extension Space {
    /// Says what is stored of `tokens`, and in which fields other spaces differ from this one: the usual reason why a
    /// hit that was expected is a miss. For people and logs. As `match`, it counts as a use.
    ///
    /// - Throws: as `match(_:)`.
    /// - Complexity: a match, and a walk over the descriptors of all spaces.
    public func explain(_ tokens: [TokenID]) throws(StoreError) -> Explanation {
        let match = try match(tokens)
        let all = try store.cold.descriptors()
        var others: [Explanation.OtherSpace] = []
        // It is not in the store yet when another writer was at work as it was opened.
        if let own = all.first(where: { $0.root == root }) ?? store.cold.openedDescriptor(of: root) {
            // Tokens are never found among blocks.
            others = all.filter { $0.root != root && !$0.layout.isOfBlocks }
                .map { other in
                    Explanation.OtherSpace(
                        root: other.root, labels: other.labels, differences: own.differences(from: other))
                }
                .sorted { ($0.differences.count, $0.root) < ($1.differences.count, $1.root) }
        }
        return Explanation(
            requestedTokens: tokens.count, foundTokens: match.tokensByTier, foundPages: match.pageCount,
            loadTime: match.estimatedLoadTime, tokensWorthLoading: match.tokensWorthLoading, root: root,
            others: Array(others.prefix(Explanation.otherSpaces)))
    }
}
