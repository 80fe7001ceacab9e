// Pages on their way into the cold tier and out of it.

package import KVFormat
package import PageCodec

/// A page to store, encoded.
package struct SpillPage: Sendable {
    /// The page.
    package let name: PageName
    /// The page's bytes, encoded under its prefix hash. Not encoded into again until `put` has returned.
    package let record: EncodedRecord
    /// Milliseconds since the Unix epoch: when the page was used last. A time in the future counts as the present.
    package let lastUse: Int64

    /// A page to store.
    package init(_ name: PageName, record: EncodedRecord, lastUse: Int64) {
        self.name = name
        self.record = record
        self.lastUse = lastUse
    }

    /// Bytes that the page takes of the quota.
    var cost: Int {
        SlotSize.physicalBytes(holding: record.byteCount) + NodeRecord.indexBytes(tokens: name.tokens.count)
    }
}

/// A page that a match found.
package struct ColdPage: Sendable, Equatable {
    /// Its prefix hash.
    package let hash: PrefixHash
    /// Position of its first token in the sequence.
    package let firstToken: Int
    /// Tokens it holds.
    package let tokenCount: Int
    /// How many of them, from the first on, are those of the request. Less than `tokenCount` in the last page only.
    package let matchedTokens: Int
    /// Bytes of the decoded page.
    package let rawBytes: Int
    /// Bytes that it occupies on disk.
    package let storedBytes: Int
    /// Whether the request goes another way here, inside the page or behind it, than those before. In the last page only.
    package internal(set) var isBranchPoint = false
}

/// A page to load.
package struct ColdLoad: Sendable {
    /// Its prefix hash.
    package let hash: PrefixHash
    /// How many tokens to load, from the first on.
    package let tokens: Int
    /// How many tokens the page holds.
    package let tokenCount: Int
    /// Where to; has room for `tokens` tokens.
    package let target: PageTarget

    /// A page to load.
    package init(hash: PrefixHash, tokens: Int, tokenCount: Int, target: PageTarget) {
        self.hash = hash
        self.tokens = tokens
        self.tokenCount = tokenCount
        self.target = target
    }
}

/// What a put did.
package struct PutReport: Sendable, Equatable {
    /// What became of one page.
    package enum Outcome: Sendable, Equatable {
        /// It is durable.
        case stored
        /// It was there already; that counts as a use.
        case present
        /// Its parent is not there, or its space is not open: nothing could find it.
        case orphan
        /// The quota has no room for it: it is larger, or everything else is pinned.
        case noRoom
        /// Hash, tokens, position and record do not belong together.
        case invalid
    }

    /// One a page of the batch, in its order.
    package var outcomes: [Outcome] = []
    /// Pages evicted to make room.
    package var evicted = 0
    /// Tails that a longer page replaced.
    package var replacedTails = 0
    /// Raw, encoded and occupied bytes of the pages stored.
    package var rawBytes = 0
    /// Bytes of their records.
    package var encodedBytes = 0
    /// Bytes that they occupy on disk.
    package var storedBytes = 0

    /// How many pages had this outcome.
    package func count(_ outcome: Outcome) -> Int { outcomes.count { $0 == outcome } }
}
