// Sixteen bytes beside sealed content: its salt, or its tag.

internal import CSeal

/// A salt, which makes a key that no other record has, or a tag, which proves that nothing was changed. A value type.
package struct SealBytes: Hashable, Sendable {
    /// Bytes of a salt or tag.
    package static let count = 16
    /// What stands in their place where nothing is sealed.
    package static let none = SealBytes(low: 0, high: 0)

    /// The first 8 bytes, read as a little-endian number.
    package var low: UInt64
    /// The last 8 bytes.
    package var high: UInt64

    /// Bytes from two numbers.
    package init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// Reads 16 bytes at `offset`.
    package init(_ bytes: RawSpan, at offset: Int) {
        low = bytes.little(offset, as: UInt64.self)
        high = bytes.little(offset + 8, as: UInt64.self)
    }

    /// A new salt, from the kernel's random numbers.
    package static func random() -> SealBytes {
        var words: InlineArray<2, UInt64> = [0, 0]
        var span = words.mutableSpan
        // Without random numbers nothing can be sealed, and going on would write what looks sealed.
        let done = unsafe span.withUnsafeMutableBytes { unsafe cseal_random($0.baseAddress, $0.count) }
        precondition(done == 1, "the system has no random numbers")
        return SealBytes(low: words[0], high: words[1])
    }

    /// The 16 bytes.
    package var bytes: [UInt8] {
        [low, high].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64($0))) } }
    }
}
