// What the store has learned about its traffic, in the table `meta`: all processes share it, and it survives restarts.

package import KVFormat

extension MetaKey {
    /// -> `HistoryRecord`. Missing until something has been learned.
    package static let history = Array("history".utf8)
}

/// The counts of a `UseHistory`: 32-bit floating-point numbers, little-endian.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..<576 | bytes whose wait ended, for 6 classes and then 24 ages |
/// | 576..<1152 | bytes that came back, in the same order |
/// | 1152..<1156 | bytes counted since the last fading |
/// | 1156..<1164 | XXH3-64 of the bytes before, seeded as for a key of zeros |
package enum HistoryRecord {
    static let byteCount = 4 * UseHistory.countsLength + 8

    /// Reads a stored history for a store of `quota` bytes; nil when it is damaged.
    package static func history(_ bytes: RawSpan, quota: UInt64) -> UseHistory? {
        guard bytes.byteCount == byteCount, bytes.endsWithChecksum(key: .zero) else { return nil }
        let counts = (0..<UseHistory.countsLength).map {
            Float(bitPattern: bytes.integer(at: 4 * $0, as: UInt32.self))
        }
        return UseHistory(capacity: Int(clamping: quota), counts: counts)
    }

    /// The bytes of the table's value.
    package static func encoded(_ history: UseHistory) -> [UInt8] {
        var writer = ByteWriter(capacity: byteCount)
        for count in history.counts { writer.append(count.bitPattern) }
        writer.appendChecksum(key: .zero)
        return writer.bytes
    }
}
