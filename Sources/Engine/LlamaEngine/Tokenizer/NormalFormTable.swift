// What normal form C needs to know about each scalar.

/// Decompositions, their inverse, and combining classes. Immutable.
struct NormalFormTable: Sendable {
    static let shared = NormalFormTable()

    /// Hangul: leading consonants, vowels, and final consonants. The first number of the final consonants means none.
    private static let leading: Range<UInt32> = 0x1100..<0x1113
    private static let vowels: Range<UInt32> = 0x1161..<0x1176
    private static let finals: Range<UInt32> = 0x11A7..<0x11C3
    private static let syllables: Range<UInt32> = 0xAC00..<0xD7A4

    /// One step of the decomposition: one part or two.
    private var parts: [UInt32: [UInt32]] = [:]
    /// Scalars by their two parts, the first in the upper half.
    private var composites: [UInt64: UInt32] = [:]
    private var orders: [UInt32: UInt8] = [:]
    private var changing = Set<UInt32>()

    private init() {
        var scalar: UInt32 = 0
        for entry in Self.decompositionText.split(whereSeparator: \.isWhitespace) {
            let isExcluded = entry.hasPrefix("!")
            let numbers = Self.numbers(entry.drop { $0 == "!" })
            scalar += numbers[0]
            parts[scalar] = Array(numbers[1...])
            if numbers.count < 3 || isExcluded {
                changing.insert(scalar)
            } else {
                composites[UInt64(numbers[1]) << 32 | UInt64(numbers[2])] = scalar
                changing.insert(numbers[2])
            }
        }
        scalar = 0
        for run in Self.classText.split(whereSeparator: \.isWhitespace) {
            let numbers = Self.numbers(run)
            scalar += numbers[0]
            for mark in scalar..<scalar + numbers[1] {
                orders[mark] = UInt8(numbers[2])
                changing.insert(mark)
            }
        }
        // The beginning of a composite can itself join what stands before it.
        for scalar in parts.keys where changing.contains(first(of: scalar)) { changing.insert(scalar) }
        changing.formUnion(Self.vowels)
        changing.formUnion(Self.finals)
    }

    private func first(of scalar: UInt32) -> UInt32 { parts[scalar].map { first(of: $0[0]) } ?? scalar }

    private static func numbers(_ text: Substring) -> [UInt32] {
        text.split(separator: ":").compactMap { UInt32($0, radix: 36) }
    }

    /// Whether the scalar may be changed, or may change what stands before it. No other scalar interacts with what is
    /// before it.
    func mayChange(_ scalar: UInt32) -> Bool { scalar >= 0x300 && changing.contains(scalar) }

    /// The canonical combining class.
    func order(of scalar: UInt32) -> UInt8 { scalar < 0x300 ? 0 : orders[scalar] ?? 0 }

    /// Hands the whole decomposition of `scalar` to `body`, in its order.
    func decompose(_ scalar: UInt32, _ body: (UInt32) -> Void) {
        guard scalar >= 0xC0, let parts = parts[scalar] else { return body(scalar) }
        for part in parts { decompose(part, body) }
    }

    /// What `first` and `second` are composed to; nil when they stay apart.
    func composite(_ first: UInt32, _ second: UInt32) -> UInt32? {
        if Self.leading.contains(first), Self.vowels.contains(second) {
            let pair = (first - Self.leading.lowerBound) * UInt32(Self.vowels.count) + second - Self.vowels.lowerBound
            return Self.syllables.lowerBound + pair * UInt32(Self.finals.count)
        }
        if Self.syllables.contains(first), second > Self.finals.lowerBound, Self.finals.contains(second),
            (first - Self.syllables.lowerBound).isMultiple(of: UInt32(Self.finals.count))
        {
            return first + second - Self.finals.lowerBound
        }
        return composites[UInt64(first) << 32 | UInt64(second)]
    }
}
