// The table `recency`: prefix hash -> how much a page is used, and what keeps or ends it.

package import KVFormat

/// Use, pins and expiry of a page.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | use score, milliseconds (`UseScore`) |
/// | 8..<16 | last use, milliseconds since the Unix epoch |
/// | 16..<20 | uses |
/// | 20..<24 | pins |
/// | 24..<32 | expiry, milliseconds since the Unix epoch; 0 for never |
/// | 32..<40 | XXH3-64 of the bytes before, seeded by the prefix hash |
package struct RecencyRecord: Equatable, Sendable {
    static let byteCount = 40

    /// What the page is worth keeping for.
    package var score: UseScore
    /// Milliseconds since the Unix epoch.
    package var lastUse: Int64
    /// How often the page was used, counting its insertion.
    package var uses: UInt32
    /// How many pins hold the page; a pinned page is never evicted.
    package var pins: UInt32 = 0
    /// Milliseconds since the Unix epoch from which on the page is a miss; 0 for never.
    package var expiry: Int64 = 0

    /// Whether the page may no longer be served at `now`.
    package func isExpired(at now: Int64) -> Bool { expiry != 0 && expiry <= now }

    /// A page that was used `uses` times until `lastUse`.
    package init(score: UseScore, lastUse: Int64, uses: UInt32 = 1) {
        self.score = score
        self.lastUse = lastUse
        self.uses = uses
    }

    /// Reads the record stored under `key`; nil when it is damaged.
    package init?(_ bytes: RawSpan, key: PrefixHash) {
        guard bytes.byteCount == Self.byteCount, bytes.endsWithChecksum(key: key) else { return nil }
        score = UseScore(milliseconds: bytes.integer(at: 0, as: Int64.self))
        lastUse = bytes.integer(at: 8, as: Int64.self)
        uses = bytes.integer(at: 16, as: UInt32.self)
        pins = bytes.integer(at: 20, as: UInt32.self)
        expiry = bytes.integer(at: 24, as: Int64.self)
    }

    /// The bytes stored under `key`.
    package func encoded(key: PrefixHash) -> [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(score.milliseconds)
        writer.append(lastUse)
        writer.append(uses)
        writer.append(pins)
        writer.append(expiry)
        writer.appendChecksum(key: key)
        return writer.bytes
    }
}
