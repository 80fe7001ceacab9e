// Numbers of bytes on the command line.

internal import ArgumentParser
internal import PrefixStore

/// Reads the sizes of all options. A bare number means bytes, and a small bare number probably lacks its unit.
enum SizeArgument {
    /// The smallest bare number that is accepted, except 0, which needs no unit.
    static let smallestBareNumber: UInt64 = 4 << 20

    /// Reads `20GiB`, `512 MiB`, `1.5G`, `10B` or a large number of bytes.
    /// - Throws: `ValidationError` for text that is not a size, and for a small number without a unit.
    static func parse(_ text: String) throws -> ByteCount {
        guard let count = ByteCount(parsing: text) else {
            throw ValidationError("Give a size such as 512MiB or 20GiB.")
        }
        let isBare = text.allSatisfy { $0.isNumber || $0 == "." || $0.isWhitespace }
        if isBare, (1..<smallestBareNumber).contains(count.value) {
            throw ValidationError("\(text) bytes? Say \(text)GiB or \(text)MiB; \(text)B if you mean bytes.")
        }
        return count
    }
}

/// The size that `pfx trim` trims to.
enum TrimTarget: Equatable {
    /// A number of bytes.
    case size(ByteCount)
    /// A share of the store's quota, from 0 to 1.
    case share(Double)

    /// Reads a size, or `50%`.
    static func parse(_ text: String) throws -> TrimTarget {
        guard text.hasSuffix("%") else { return .size(try SizeArgument.parse(text)) }
        guard let percent = Double(text.dropLast()), (0...100).contains(percent) else {
            throw ValidationError("Give 0% to 100% of the quota.")
        }
        return .share(percent / 100)
    }

    /// The number of bytes for a store with this quota.
    func bytes(of quota: ByteCount) -> ByteCount {
        switch self {
        case .size(let size): size
        case .share(let share): ByteCount(UInt64(Double(quota.value) * share))
        }
    }
}
