// The kinds of characters that split patterns distinguish.

/// The kind of a Unicode scalar in a split pattern.
enum ScalarClass: UInt8, Sendable {
    /// `\p{L}`.
    case letter
    /// `\p{N}`.
    case number
    /// `[\r\n]`.
    case lineEnd
    /// `\s` other than `[\r\n]`.
    case space
    /// Everything else, including combining marks.
    case other

    /// The class of each scalar of the basic multilingual plane: property lookups are slow, and prompts are long.
    private static let basicPlane: [ScalarClass] = (0..<0x10000).map { value in
        Unicode.Scalar(UInt32(value)).map(classify) ?? .other
    }

    /// The class of `scalar`.
    init(_ scalar: Unicode.Scalar) {
        self = scalar.value < 0x10000 ? Self.basicPlane[Int(scalar.value)] : Self.classify(scalar)
    }

    private static func classify(_ scalar: Unicode.Scalar) -> ScalarClass {
        if scalar == "\r" || scalar == "\n" { return .lineEnd }
        if scalar.properties.isWhitespace { return .space }
        switch scalar.properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter: return .letter
        case .decimalNumber, .letterNumber, .otherNumber: return .number
        default: return .other
        }
    }
}
