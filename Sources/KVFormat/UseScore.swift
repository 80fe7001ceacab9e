// What a page is worth keeping for: recency with hits that decay, in one number that need not be updated as time goes by.

internal import Glibc

/// How much a page has been used: the logarithm of its hits, each of which fades with a half-life, as a point in time.
///
/// A hit at time `t` weighs `2^(t / halfLife)`. The weights add up, and the logarithm of the sum, times the half-life, is a
/// time again: a page used once now has the score `now`; one used `n` times now has `now + halfLife * log2(n)`. Because all
/// weights fade alike, the order of two pages never changes by waiting, so scores can be keys of a sorted table (LRFU with
/// an exponential weight: Lee et al., IEEE Trans. Computers 50(12), 2001). Milliseconds since the Unix epoch.
public struct UseScore: Hashable, Comparable, Sendable {
    /// Six hours: a page used in this morning's batch still outweighs one that was used once just now.
    public static let halfLife: Int64 = 6 * 3_600_000

    /// More than this above now (2^32 hits at once) is a clock that jumped, and counts as one hit now.
    public static let ceiling: Int64 = 32 * halfLife

    /// Milliseconds.
    public let milliseconds: Int64

    /// A stored score.
    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    /// The score of a page that is used for the first time at `now`, milliseconds since the Unix epoch.
    public init(firstUse now: Int64) { milliseconds = now }

    /// The score after one more use at `now`.
    public func used(at now: Int64) -> UseScore {
        guard milliseconds <= now + Self.ceiling else { return UseScore(firstUse: now) }
        let high = max(milliseconds, now)
        let gap = Double(high - min(milliseconds, now)) / Double(Self.halfLife)
        return UseScore(milliseconds: high + Int64(Double(Self.halfLife) * log2(1 + exp2(-gap))))
    }

    /// The larger is worth more.
    public static func < (left: UseScore, right: UseScore) -> Bool { left.milliseconds < right.milliseconds }
}
