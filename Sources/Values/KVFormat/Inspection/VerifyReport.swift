// What a full check of a store found.

/// The result of a full check. The check changes nothing. A value type.
public struct VerifyReport: Sendable, Equatable, Encodable {
    /// Pages whose node was looked at.
    public package(set) var pages = 0
    /// Tails among them.
    public package(set) var tails = 0
    /// Records decoded to the last byte.
    public package(set) var records = 0
    /// Frames of those records.
    public package(set) var frames = 0
    /// Bytes of those records as encoded, without padding.
    public package(set) var encodedBytes = ByteCount.zero
    /// Bytes of the pages as the engine gave them.
    public package(set) var rawBytes = ByteCount.zero
    /// Edges looked at.
    public package(set) var edges = 0
    /// Entries of the eviction order looked at.
    public package(set) var queueEntries = 0
    /// Side states decoded.
    public package(set) var sideStates = 0
    /// Spaces looked at.
    public package(set) var spaces = 0
    /// Pages that are listed as taken out earlier.
    public package(set) var quarantinedPages = 0
    /// Whether the counters were compared with what they count. Not when writers left no moment of rest, and not when
    /// nodes are damaged.
    public package(set) var comparedCounters = false
    /// What was found, at most `VerifyReport.findingLimit` of it.
    public package(set) var findings: [VerifyFinding] = []
    /// How much was found, listed or not.
    public package(set) var findingCount = 0
    /// How much of it is damage.
    public package(set) var damageCount = 0

    /// Findings that a report lists.
    public static let findingLimit = 1000

    /// Spaces, pages and side states that are sealed and could not be looked into: no key was given, or another one.
    public package(set) var unreadCount = 0

    /// Whether nothing is damaged. Leftovers do not count, nor does what could not be looked into.
    public private(set) var isSound = true

    /// The report of a check that has yet to look at anything.
    package init() {}

    /// Counts a finding, and lists it while there is room.
    package mutating func add(_ finding: VerifyFinding) {
        findingCount += 1
        if finding.kind == .sealed { unreadCount += 1 }
        if finding.isDamage {
            damageCount += 1
            isSound = false
        }
        if findings.count < Self.findingLimit { findings.append(finding) }
    }
}

/// How far a check has come. A value type.
public struct VerifyProgress: Sendable, Equatable {
    /// Pages looked at.
    public let pages: Int
    /// Pages that there were at the beginning.
    public let totalPages: Int
    /// Bytes of records decoded.
    public let encodedBytes: ByteCount

    /// What was done so far.
    package init(pages: Int, totalPages: Int, encodedBytes: ByteCount) {
        self.pages = pages
        self.totalPages = totalPages
        self.encodedBytes = encodedBytes
    }
}
