// The table `recency`: prefix hash -> uses, pins and expiry of a page.

package import KVFormat

/// Use, pins and expiry of a page.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | last use, milliseconds since the Unix epoch |
/// | 8..<16 | time in the eviction order: the last use of the page, or of a page behind it that is worth more |
/// | 16..<20 | uses |
/// | 20..<24 | pins |
/// | 24..<32 | expiry, milliseconds since the Unix epoch; 0 for never |
/// | 32..<34 | requests that branched off at the page or behind it |
/// | 34 | class in the eviction order |
/// | 35..<40 | 0 |
/// | 40..<48 | XXH3-64 of the bytes before, seeded by the prefix hash |
package struct RecencyRecord: Equatable, Sendable {
    static let byteCount = 48

    /// The last use, and the number of continuations.
    package private(set) var use: PageUse
    /// Where the page stands in the eviction order.
    package var place: EvictionPlace
    /// How often the page was used, counting its insertion.
    package var uses: UInt32
    /// How many pins hold the page; a pinned page is never evicted.
    package var pins: UInt32 = 0
    /// Milliseconds since the Unix epoch from which on the page is a miss; 0 for never.
    package var expiry: Int64 = 0

    /// Whether the page may no longer be served at `now`.
    package func isExpired(at now: Int64) -> Bool { expiry != 0 && expiry <= now }

    /// A page that was used `uses` times until `lastUse`.
    package init(lastUse: Int64, uses: UInt32 = 1, branches: UInt16 = 0) {
        use = PageUse(last: lastUse, branches: branches)
        place = EvictionPlace(use)
        self.uses = uses
    }

    /// Changes the use, and with it the place in the eviction order.
    mutating func setUse(_ new: PageUse) {
        use = new
        place = EvictionPlace(new)
    }

    /// Reads the record stored under `key`; nil when it is damaged.
    package init?(_ bytes: RawSpan, key: PrefixHash) {
        guard bytes.byteCount == Self.byteCount, bytes.endsWithChecksum(key: key) else { return nil }
        use = PageUse(
            last: bytes.integer(at: 0, as: Int64.self), branches: bytes.integer(at: 32, as: UInt16.self))
        place = EvictionPlace(
            useClass: Int(bytes.integer(at: 34, as: UInt8.self)), time: bytes.integer(at: 8, as: Int64.self))
        uses = bytes.integer(at: 16, as: UInt32.self)
        pins = bytes.integer(at: 20, as: UInt32.self)
        expiry = bytes.integer(at: 24, as: Int64.self)
        guard place.useClass < UseHistory.classes else { return nil }
    }

    /// The bytes stored under `key`.
    package func encoded(key: PrefixHash) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(use.last)
        writer.append(place.time)
        writer.append(uses)
        writer.append(pins)
        writer.append(expiry)
        writer.append(use.branches)
        writer.append(UInt8(place.useClass))
        writer.append(UInt8(0))
        writer.append(UInt32(0))
        writer.appendChecksum(key: key)
        return writer.bytes
    }
}
