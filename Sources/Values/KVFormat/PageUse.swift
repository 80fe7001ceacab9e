// How a page has been used, as eviction sees it: when it was used last, and by how many different continuations.

/// The last use of a page, and how many requests branched off at it or behind it. A value type.
///
/// A request branches off when it continues in another way than earlier requests. That counts at the last page that it
/// shares with them. So the count is high for shared text (a system prompt, the examples of a template, a repository's
/// files), about 1 after a retry, and 0 for the private end of a conversation, however often that continues.
package struct PageUse: Hashable, Sendable {
    /// A use that lies further than this in the future means that a clock has jumped: five hours and twenty minutes.
    package static let ceiling: Int64 = 320 * 60_000

    /// Milliseconds since the Unix epoch.
    package var last: Int64

    /// Number of requests that branched off at the page or behind it.
    package var branches: UInt16

    /// A page that was used last at `last`.
    package init(last: Int64, branches: UInt16 = 0) {
        self.last = last
        self.branches = branches
    }

    /// The page's class, `0..<UseHistory.classes`, by its number of branches: 0, 1, 2, 4, 8, and 16 or more.
    package var useClass: Int {
        min(UInt16.bitWidth - branches.leadingZeroBitCount, UseHistory.classes - 1)
    }

    /// Moves the last use to `now`. A clock that goes back a little changes nothing. A last use that is impossibly far
    /// ahead of `now` is forgotten.
    package mutating func keep(at now: Int64) { last = last > now + Self.ceiling ? now : max(last, now) }

    /// Counts `count` requests that branched off.
    package mutating func branch(_ count: Int) { branches = UInt16(clamping: Int(branches) + count) }

    /// How long ago the last use was, in milliseconds; never negative.
    package func age(at now: Int64) -> Int64 { Self.age(of: last, at: now) }

    /// How long ago `time` was, in milliseconds; never negative, whatever a clock or a damaged record says.
    package static func age(of time: Int64, at now: Int64) -> Int64 {
        let (age, overflows) = now.subtractingReportingOverflow(time)
        return overflows ? (time < now ? .max : 0) : max(0, age)
    }
}

/// What a use of a whole path says about its pages.
package enum PathUse: Hashable, Sendable {
    /// An insert met them: they are needed now, but nothing was saved.
    case insert
    /// A request found them and continued where the path had ended until then.
    case match
    /// A request found them and continued in another way than earlier requests.
    case branch
}
