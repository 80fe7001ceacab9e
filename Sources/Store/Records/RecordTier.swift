// The seam between tiers that keep encoded records: another tier can take what one tier lends, and the loader can load
// it.

package import KVFormat
package import PageCodec

/// A tier that keeps encoded records, such as the folder on disk. Thread-safe.
///
/// It has three operations, each for a whole batch, because each trip to a disk or a network is expensive and one more
/// record is not.
package protocol RecordTier: Sendable {
    /// Returns which of these pages the tier holds and trusts.
    ///
    /// - Parameter time: when to count the held pages as used, in milliseconds since the Unix epoch; with nil, this
    ///   call does not count as a use.
    /// - Throws: what kept the tier from answering.
    func held(_ hashes: [PrefixHash], usedAt time: Int64?) throws(StoreError) -> Set<PrefixHash>

    /// Lends records of one space to `borrower`, which returns the damage that it found, by the records' place. The
    /// tier makes sure that these pages are a miss from then on.
    ///
    /// - Parameters:
    ///   - wanted: pages of the space.
    ///   - layout: the space's layout.
    ///   - borrower: called once, with a record or nil for each wanted page, in order. It is not called when the tier
    ///     meets damage that does not belong to a single page. The records are valid during the call.
    /// - Throws: the error that kept the tier from answering. A page that is missing or cannot be trusted is nil, never
    ///   an error.
    func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) throws(StoreError)

    /// Stores pages, which are durable when this returns. A page's parent must be stored already, or come before it.
    /// - Parameter pages: pages of any spaces. Their records must not change until the call returns.
    /// - Returns: what became of each, in order.
    /// - Throws: the error that kept the tier from storing them. Pages before the first failure may have been stored.
    func take(_ pages: [PageRecord]) throws(StoreError) -> [TakeOutcome]
}

/// A page that a caller wants.
package struct RecordRequest: Hashable, Sendable {
    /// Its prefix hash.
    package let hash: PrefixHash
    /// Tokens that it has; 0 for a block.
    package let tokenCount: Int
    /// The seal of its space; nil for a space that is not sealed.
    package let seal: SpaceSeal?

    /// A request.
    package init(hash: PrefixHash, tokenCount: Int, seal: SpaceSeal? = nil) {
        self.hash = hash
        self.tokenCount = tokenCount
        self.seal = seal
    }
}

/// A page with its record: everything that a tier needs to store it and find it again.
package struct PageRecord: Sendable {
    /// The page.
    package let name: PageName
    /// Its record.
    package let bytes: RecordBytes
    /// When the page was used last, in milliseconds since the Unix epoch. A time in the future counts as the present.
    package let lastUse: Int64

    /// A page with its record.
    package init(_ name: PageName, _ bytes: RecordBytes, lastUse: Int64) {
        self.name = name
        self.bytes = bytes
        self.lastUse = lastUse
    }
}

/// What became of a page that was offered to a tier.
package enum TakeOutcome: Hashable, Sendable {
    /// The tier has stored it now.
    case stored
    /// The tier had it already; this counts as a use.
    case alreadyThere
    /// Its parent is not stored, or its space is not open, so no match could find it.
    case orphan
    /// There is no room for it: it is larger than the quota, or everything else is pinned.
    case noRoom
    /// Hash, tokens, position and record do not belong together.
    case invalid
}
