// What a full check of a store found.

public import KVFormat

/// The result of a full check. The check changes nothing.
public struct VerifyReport: Sendable, Equatable {
    /// Pages whose node was looked at.
    public var pages = 0
    /// Tails among them.
    public var tails = 0
    /// Records decoded to the last byte.
    public var records = 0
    /// Frames of those records.
    public var frames = 0
    /// Bytes of those records as stored, without padding.
    public var encodedBytes = ByteCount.zero
    /// Bytes of the decoded pages.
    public var rawBytes = ByteCount.zero
    /// Edges looked at.
    public var edges = 0
    /// Entries of the eviction order looked at.
    public var queueEntries = 0
    /// Side states decoded.
    public var sideStates = 0
    /// Spaces looked at.
    public var spaces = 0
    /// Pages that are listed as taken out earlier.
    public var quarantinedPages = 0
    /// Whether the counters were compared with what they count. Not when writers left no moment of rest, and not when
    /// nodes are damaged.
    public var comparedCounters = false
    /// What was found, at most `VerifyReport.findingLimit` of it.
    public var findings: [VerifyFinding] = []
    /// How much was found, listed or not.
    public var findingCount = 0
    /// How much of it is damage.
    public var damageCount = 0

    /// Findings that a report lists.
    public static let findingLimit = 1000

    /// Whether nothing is damaged. Leftovers do not count.
    public var isSound: Bool { damageCount == 0 }

    mutating func add(_ finding: VerifyFinding) {
        findingCount += 1
        if finding.kind.isDamage { damageCount += 1 }
        if findings.count < Self.findingLimit { findings.append(finding) }
    }
}

/// One thing that is not as it should be.
public struct VerifyFinding: Sendable, Equatable {
    /// What kind of thing.
    public enum Kind: String, Sendable, CaseIterable {
        /// Format record or counters cannot be read.
        case damagedMeta
        /// The counters are not what they count.
        case wrongCounters
        /// A space's descriptor cannot be read, or does not hash to its root.
        case damagedSpace
        /// A page belongs to a space that is not registered.
        case unknownSpace
        /// A node fails its checksum, or belongs to another key.
        case damagedNode
        /// A prefix hash is not that of the parent and the token ids.
        case wrongHash
        /// The parent is missing, a tail, of another space, or ends elsewhere.
        case wrongParent
        /// Token count and flags do not fit the space's layout.
        case wrongShape
        /// No edge leads to a page.
        case missingEdge
        /// An edge says other things than the page it leads to.
        case wrongEdge
        /// Recency is missing, or fails its checksum.
        case damagedRecency
        /// An unpinned page is not in the eviction order.
        case missingQueueEntry
        /// Node and recency do not agree on whether a page expires.
        case wrongExpiry
        /// A node has no record.
        case missingRecord
        /// A record fails a checksum, or cannot be decoded.
        case damagedRecord
        /// A side state fails a checksum, or cannot be decoded.
        case damagedSideState
        /// A page or space is sealed; this build cannot look into it.
        case sealed
        /// LMDB cannot read a part of a table.
        case unreadableTable
        /// A key or value of a table is none that this version writes.
        case damagedEntry
        /// A record without a node.
        case orphanRecord
        /// A side state without a page.
        case orphanSideState
        /// An edge without a page.
        case orphanEdge
        /// A recency record without a page.
        case orphanRecency
        /// An entry of the eviction order without a page, or at a place where the page's recency does not put it.
        case orphanQueueEntry

        /// Whether something is lost or could be, as opposed to what only its owner can read, and to a leftover: that
        /// takes some bytes, is never served, and goes when the eviction order is walked.
        public var isDamage: Bool {
            switch self {
            case .sealed, .orphanEdge, .orphanRecency, .orphanQueueEntry: false
            default: true
            }
        }
    }

    /// What kind of thing.
    public var kind: Kind
    /// The page or space, when there is one.
    public var hash: PrefixHash?
    /// What is wrong, in one sentence without token ids.
    public var sentence: String
}

/// How far a check has come.
public struct VerifyProgress: Sendable, Equatable {
    /// Pages looked at.
    public var pages: Int
    /// Pages that there were at the beginning.
    public var totalPages: Int
    /// Bytes of records decoded.
    public var encodedBytes: ByteCount
}
