// Records that have come from elsewhere and lie in memory, as the loader takes them.

package import KVFormat
package import PageCodec

/// Records of consecutive pages in memory: a tier for one load. Thread-safe.
package struct FetchedRecords: RecordTier {
    private let names: [PageName]
    private let records: [RecordBytes?]
    private let onDamage: @Sendable (PrefixHash, RecordDamage) -> Void

    /// The pages with their records; nil for one that has not come.
    /// - Parameter onDamage: told what a load finds wrong.
    package init(
        names: [PageName], records: [RecordBytes?], onDamage: @escaping @Sendable (PrefixHash, RecordDamage) -> Void
    ) {
        self.names = names
        self.records = records
        self.onDamage = onDamage
    }

    /// The first of the pages that have come, to be stored elsewhere. What a load did not decode of them is not
    /// checked.
    package var pages: [(name: PageName, bytes: RecordBytes)] {
        var all: [(name: PageName, bytes: RecordBytes)] = []
        for (name, record) in zip(names, records) {
            guard let record else { break }
            all.append((name, record))
        }
        return all
    }

    /// Those of the pages that have come.
    package func held(_ hashes: [PrefixHash], usedAt time: Int64?) -> Set<PrefixHash> {
        Set(zip(names, records).lazy.filter { $1 != nil }.map(\.0.hash)).intersection(hashes)
    }

    /// Lends consecutive pages.
    package func lend(
        _ wanted: [RecordRequest], of layout: KVLayout, to borrower: ([RecordBytes?]) -> [Int: RecordDamage]
    ) {
        // A load may lend its pages in several parts, always in their order.
        guard let first = wanted.first, let start = names.firstIndex(where: { $0.hash == first.hash }) else { return }
        let lent = Array(records[start..<min(start + wanted.count, records.count)])
        for (place, damage) in borrower(lent) { onDamage(wanted[place].hash, damage) }
    }

    /// Takes none.
    package func take(_ pages: [PageRecord]) -> [TakeOutcome] { pages.map { _ in .noRoom } }
}
