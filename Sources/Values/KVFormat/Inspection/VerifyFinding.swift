// What a full check can find.

/// One thing that is not as it should be. A value type.
public struct VerifyFinding: Sendable, Equatable, Encodable {
    /// What kind of thing.
    public enum Kind: String, Sendable, CaseIterable, Encodable {
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
        /// A page, side state or space is sealed, and could not be looked into: no key was given, or another one.
        case sealed
        /// A part of a table cannot be read.
        case unreadableTable
        /// A page of the trees below the tables is damaged, or has two owners.
        case damagedTree
        /// The list of free pages names a page that is in use, or leaves out one that is not.
        case damagedFreeList
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
    public let kind: Kind
    /// Whether it is damage; a leftover is not.
    public let isDamage: Bool
    /// The page or space, when there is one.
    public let hash: PrefixHash?
    /// What is wrong, in one sentence without token ids.
    public let sentence: String

    /// A finding of a kind, which says whether it is damage.
    package init(_ kind: Kind, _ hash: PrefixHash?, _ sentence: String) {
        self.kind = kind
        isDamage = kind.isDamage
        self.hash = hash
        self.sentence = sentence
    }
}
