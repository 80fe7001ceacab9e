// Units: token ids and bytes.

/// A number below the vocabulary size of a model's tokenizer.
public typealias TokenID = UInt32

/// A number of bytes: a capacity, a quota, a size on disk. Binary units: 1 KiB is 1,024 bytes.
public struct ByteCount: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number of bytes.
    public let value: UInt64

    /// Makes a count of `value` bytes.
    public init(_ value: UInt64) { self.value = value }

    /// No bytes.
    public static let zero = ByteCount(0)

    /// `count` KiB.
    public static func kibibytes(_ count: UInt64) -> ByteCount { binary(count, 10) }

    /// `count` MiB.
    public static func mebibytes(_ count: UInt64) -> ByteCount { binary(count, 20) }

    /// `count` GiB.
    public static func gibibytes(_ count: UInt64) -> ByteCount { binary(count, 30) }

    /// The largest count there is, rather than one whose high bits are gone.
    private static func binary(_ count: UInt64, _ shift: UInt64) -> ByteCount {
        ByteCount(count > .max >> shift ? .max : count << shift)
    }

    /// Reads `"1536"`, `"64MiB"`, `"1.5 GiB"` or `"2G"`. Upper and lower case are the same, and a final `B` or `iB` is
    /// optional.
    /// - Returns: nil when the text is not such a number, or means 2^63 bytes or more.
    public init?(parsing text: String) {
        let compact = text.lowercased().filter { !$0.isWhitespace }
        let digits = compact.prefix { $0.isNumber || $0 == "." }
        var unit = compact.dropFirst(digits.count)
        if unit.hasSuffix("b") { unit = unit.dropLast() }
        if unit.hasSuffix("i") && unit.count == 2 { unit = unit.dropLast() }
        let shifts: [Substring: UInt64] = ["": 0, "k": 10, "m": 20, "g": 30, "t": 40]
        guard let shift = shifts[unit], let number = Double(digits), number >= 0 else { return nil }
        let bytes = number * Double(UInt64(1) << shift)
        guard bytes < Double(UInt64(1) << 63) else { return nil }
        self.init(UInt64(bytes.rounded()))
    }

    /// The order of the numbers.
    public static func < (left: ByteCount, right: ByteCount) -> Bool { left.value < right.value }

    /// `"640 B"`, `"1.5 MiB"`: at most one decimal place.
    public var description: String {
        var scaled = Double(value)
        var unit = 0
        while scaled >= 1023.95 && unit < 4 {
            scaled /= 1024
            unit += 1
        }
        if unit == 0 { return "\(value) B" }
        let tenths = Int((scaled * 10).rounded())
        let number = tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths / 10).\(tenths % 10)"
        return "\(number) \(["B", "KiB", "MiB", "GiB", "TiB"][unit])"
    }
}
