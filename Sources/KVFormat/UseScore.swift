// What a page is worth keeping for: when it was last used, and whether it comes back. One number, never updated as
// time goes by.

internal import Glibc

/// When a page was used, with a credit for coming back after a while, as a point in time: milliseconds since the Unix
/// epoch.
///
/// A page that is used now has the score `now`. When it had not been used for longer than a `burst`, the use before
/// counts too: each use weighs `2^(t / halfLife)`, and the score is the logarithm of the sum, times the half-life. So
/// the page is ahead of now by at most one half-life, and outlives what was used once; until it has used that credit
/// up, further uses give no more.
///
/// Because a credit is given once, uses in quick succession do not add up: the turns of a conversation and the steps
/// of an agent use their pages dozens of times, then never again, and a plain sum (LRFU: Lee et al., IEEE Trans.
/// Computers 50(12), 2001) kept such pages for days and threw out what was live. `docs/eviction.md` has the figures.
///
/// The order of two pages never changes by waiting, so scores can be keys of a sorted table.
public struct UseScore: Hashable, Comparable, Sendable {
    /// The most that a score can be ahead of now: ten minutes, in which most of what will be used again is used again.
    public static let halfLife: Int64 = 10 * 60_000

    /// Uses no further apart than this count as one: a match and the insert after it, a retry, the workers of one task.
    public static let burst: Int64 = 90_000

    /// More than this above now is a clock that jumped, and counts as a use now.
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
        guard milliseconds < now - Self.burst else { return UseScore(milliseconds: max(milliseconds, now)) }
        let gap = Double(now - milliseconds) / Double(Self.halfLife)
        return UseScore(milliseconds: now + Int64(Double(Self.halfLife) * log2(1 + exp2(-gap))))
    }

    /// The larger is worth more.
    public static func < (left: UseScore, right: UseScore) -> Bool { left.milliseconds < right.milliseconds }
}
