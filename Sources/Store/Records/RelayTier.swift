// A tier whose pages go on to another one.

package import KVFormat
package import PageCodec

/// A tier, and what is told of the pages that it has taken. As thread-safe as the tier.
package struct RelayTier: RecordTier {
    private let base: any RecordTier
    private let onTaken: @Sendable ([PageRecord]) -> Void

    /// A tier that tells `onTaken`, on the thread of the caller, which pages it has after each call of `take`. Their
    /// records must not be used after that.
    package init(_ base: any RecordTier, onTaken: @escaping @Sendable ([PageRecord]) -> Void) {
        self.base = base
        self.onTaken = onTaken
    }

    /// As the tier's.
    package func held(_ hashes: [PrefixHash], usedAt time: Int64?) throws(StoreError) -> Set<PrefixHash> {
        try base.held(hashes, usedAt: time)
    }

    /// As the tier's.
    package func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) throws(StoreError) {
        try base.lend(wanted, of: layout, to: borrower)
    }

    /// As the tier's.
    package func take(_ pages: [PageRecord]) throws(StoreError) -> [TakeOutcome] {
        let outcomes = try base.take(pages)
        onTaken(zip(pages, outcomes).filter { $1 == .stored || $1 == .alreadyThere }.map(\.0))
        return outcomes
    }
}
