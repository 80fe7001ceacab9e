// The table `meta`: the format of the store, and its counters.

internal import KVFormat

/// Keys of the table `meta`.
package enum MetaKey {
    /// -> `FormatRecord`. This entry is read before anything else, by every version.
    package static let format = Array("format".utf8)
    /// -> `CountersRecord`.
    package static let counters = Array("counters".utf8)
}

/// Which version wrote the store. Its first field never moves, so that any version can name any other.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<4 | format version |
/// | 4..<8 | bytes of an LMDB page |
/// | 8..<16 | created, milliseconds since the Unix epoch |
package struct FormatRecord: Equatable, Sendable {
    /// The version that this build reads and writes.
    package static let current: UInt32 = 2
    static let byteCount = 16

    /// The store's version.
    package var version: UInt32
    /// Bytes of an LMDB page on the system that made the store.
    package var pageSize: UInt32
    /// Milliseconds since the Unix epoch.
    package var createdAt: Int64

    /// A record from its fields.
    package init(version: UInt32 = current, pageSize: UInt32, createdAt: Int64) {
        self.version = version
        self.pageSize = pageSize
        self.createdAt = createdAt
    }

    /// Reads a stored record; nil unless it is long enough. Later versions may append fields.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount >= Self.byteCount else { return nil }
        version = bytes.integer(at: 0, as: UInt32.self)
        pageSize = bytes.integer(at: 4, as: UInt32.self)
        createdAt = bytes.integer(at: 8, as: Int64.self)
    }

    /// The bytes of the table's value.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(version)
        writer.append(pageSize)
        writer.append(createdAt)
        return writer.bytes
    }
}

/// Counters of the whole store. Every write transaction updates them.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<8 | quota, bytes |
/// | 8..<16 | pages, and blocks |
/// | 16..<24 | slot bytes of pages and side states, `SlotSize.slotBytes` |
/// | 24..<32 | encoded bytes of pages and blocks |
/// | 32..<40 | raw bytes of pages and blocks |
/// | 40..<48 | pages evicted since the store was made |
/// | 48..<56 | pages quarantined since then |
/// | 56..<64 | generation: write transactions since then |
/// | 64..<72 | side states |
/// | 72..<80 | bytes of nodes and edges, as `NodeRecord.indexBytes` counts |
/// | 80..<88 | XXH3-64 of the bytes before, seeded as for a key of zeros |
package struct CountersRecord: Equatable, Sendable {
    static let byteCount = 88

    /// Limit on the bytes that the store occupies.
    package var quota: UInt64 = 0
    /// Pages and blocks stored: the entries of `nodes`.
    package var pages: UInt64 = 0
    /// Bytes of the slots of pages and side states.
    package var slotBytes: UInt64 = 0
    /// Encoded bytes of the pages.
    package var encodedBytes: UInt64 = 0
    /// Raw bytes of the pages.
    package var rawBytes: UInt64 = 0
    /// Pages evicted since the store was made.
    package var evicted: UInt64 = 0
    /// Pages quarantined since the store was made.
    package var quarantined: UInt64 = 0
    /// Write transactions since the store was made.
    package var generation: UInt64 = 0
    /// Side states stored.
    package var sideStates: UInt64 = 0
    /// Bytes of the index: nodes, edges and what belongs to them.
    package var indexBytes: UInt64 = 0

    /// The bytes that count against the quota.
    package var usedBytes: UInt64 { slotBytes &+ indexBytes }

    /// Counters of an empty store.
    package init() {}

    /// Reads stored counters; nil when they are damaged.
    package init?(_ bytes: RawSpan) {
        guard bytes.byteCount == Self.byteCount, bytes.endsWithChecksum(key: .zero) else { return nil }
        func field(_ index: Int) -> UInt64 { bytes.integer(at: 8 * index, as: UInt64.self) }
        quota = field(0)
        pages = field(1)
        slotBytes = field(2)
        encodedBytes = field(3)
        rawBytes = field(4)
        evicted = field(5)
        quarantined = field(6)
        generation = field(7)
        sideStates = field(8)
        indexBytes = field(9)
    }

    /// The bytes of the table's value.
    package var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        let fields = [
            quota, pages, slotBytes, encodedBytes, rawBytes, evicted, quarantined, generation, sideStates,
            indexBytes,
        ]
        for field in fields { writer.append(field) }
        writer.appendChecksum(key: .zero)
        return writer.bytes
    }
}
