// The seam between the tiers that keep encoded records: what one of them lends, another can take, and the loader can
// load.

package import KVFormat
package import PageCodec

/// A tier that keeps encoded records: the folder on disk, or one day a place beyond this machine. Thread-safe.
///
/// Three verbs, each for a whole batch, since a way to a disk or a network is dear and a record more is not.
package protocol RecordTier: Sendable {
    /// Which of these pages are held and trusted.
    ///
    /// - Parameter time: the pages that are held count as used at this time, milliseconds since the Unix epoch; nil:
    ///   asking is no use.
    /// - Throws: what kept the tier from answering.
    func held(_ hashes: [PrefixHash], usedAt time: Int64?) throws(StoreError) -> Set<PrefixHash>

    /// Lends records of one space to `borrower`, whose answer is what it found damaged in them, by their place; the
    /// tier sees to it that those are a miss from then on.
    ///
    /// - Parameters:
    ///   - wanted: pages of the space.
    ///   - layout: the space's layout.
    ///   - borrower: called once with a record or nil for each page wanted, in order; not at all when the tier met
    ///     damage that is no single page's. The records are good for the length of the call.
    /// - Throws: what kept the tier from answering. A page that is not there or not to be trusted is nil, never an
    ///   error.
    func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) throws(StoreError)

    /// Keeps pages; they are there for good when this returns. A page's parent must be there, or come before it.
    ///
    /// - Parameter pages: pages of any spaces. Their records stay as they are until the call returns.
    /// - Returns: what became of each, in order.
    /// - Throws: what kept the tier from keeping them; pages before the first that met it may have been kept.
    func take(_ pages: [PageRecord]) throws(StoreError) -> [TakeOutcome]
}

/// A page that is asked for.
package struct RecordRequest: Hashable, Sendable {
    /// Its prefix hash.
    package let hash: PrefixHash
    /// Tokens that it has; 0 for a block.
    package let tokenCount: Int

    /// A request.
    package init(hash: PrefixHash, tokenCount: Int) {
        self.hash = hash
        self.tokenCount = tokenCount
    }
}

/// A page with its record: all that a tier needs to keep it and find it again.
package struct PageRecord: Sendable {
    /// The page.
    package let name: PageName
    /// Its record.
    package let bytes: RecordBytes
    /// Milliseconds since the Unix epoch: when the page was used last. A time in the future counts as the present.
    package let lastUse: Int64

    /// A page with its record.
    package init(_ name: PageName, _ bytes: RecordBytes, lastUse: Int64) {
        self.name = name
        self.bytes = bytes
        self.lastUse = lastUse
    }
}

/// What became of a page that a tier was to take.
package enum TakeOutcome: Hashable, Sendable {
    /// The tier has it now.
    case stored
    /// The tier had it before; that counts as a use.
    case alreadyThere
    /// Its parent is not there, or its space is not open: nothing could find it.
    case orphan
    /// There is no room for it: it is larger than the quota, or everything else is pinned.
    case noRoom
    /// Hash, tokens, position and record do not belong together.
    case invalid
}
