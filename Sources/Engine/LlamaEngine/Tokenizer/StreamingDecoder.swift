// Decodes tokens to text, one at a time. A character may be spread over several tokens.

/// Turns a stream of tokens into text, and holds back the bytes of a character that is not complete yet.
///
/// All texts together equal `Tokenizer.decode` of all tokens.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private var pending: [UInt8] = []

    /// A decoder at the beginning of a stream.
    public init(_ tokenizer: Tokenizer) { self.tokenizer = tokenizer }

    /// Takes the next token and returns the text that is complete now; often empty.
    public mutating func append(_ id: UInt32) -> String {
        pending += tokenizer.visibleBytes(of: id)
        let held = Self.incompleteSuffix(of: pending)
        let text = String(decoding: pending.dropLast(held), as: UTF8.self)
        pending.removeFirst(pending.count - held)
        return text
    }

    /// Ends the stream and returns what was held back, with U+FFFD for a character that never became complete.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }

    /// How many bytes at the end begin a character that later bytes can complete: 0 to 3.
    private static func incompleteSuffix(of bytes: [UInt8]) -> Int {
        for held in 1...3 where held <= bytes.count {
            let lead = bytes[bytes.count - held]
            if lead & 0xC0 == 0x80 { continue }
            return canContinue(bytes.suffix(held)) ? held : 0
        }
        return 0
    }

    /// Whether `bytes`, a lead byte and continuation bytes, are the beginning of a character. The second byte decides
    /// what is overlong, a surrogate or beyond the last plane, and those are replaced at once.
    private static func canContinue(_ bytes: ArraySlice<UInt8>) -> Bool {
        guard let lead = bytes.first else { return false }
        let second = bytes.dropFirst().first
        switch lead {
        case 0xC2...0xDF: return second == nil
        case 0xE0: return bytes.count < 3 && (0xA0...0xBF).contains(second ?? 0xA0)
        case 0xED: return bytes.count < 3 && (0x80...0x9F).contains(second ?? 0x80)
        case 0xE1...0xEF: return bytes.count < 3
        case 0xF0: return (0x90...0xBF).contains(second ?? 0x90)
        case 0xF4: return (0x80...0x8F).contains(second ?? 0x80)
        case 0xF1...0xF3: return true
        default: return false
        }
    }
}
