// Tokens that are cut out of the text before it is split: special ones, and words that were added to a vocabulary.

/// A token outside the vocabulary proper.
struct AddedToken: Sendable {
    let id: UInt32
    /// The text that it stands for.
    let content: String
    /// Whether decoding leaves it out.
    let isSpecial: Bool
    /// Whether it is searched for in normalised text, and not in the text as given.
    let isNormalized: Bool
}

/// Finds added tokens in text: the leftmost match, and among several at that place the longest.
struct AddedTokenFinder: Sendable {
    /// Candidates by their first byte, longest first.
    private let candidates: [[Candidate]]

    private struct Candidate: Sendable {
        let bytes: [UInt8]
        let id: UInt32
    }

    /// A piece of text: either a token or what lies between tokens.
    enum Piece: Equatable {
        case token(UInt32)
        case text(Range<Int>)
    }

    /// A finder for tokens given as text and id; empty ones match nothing.
    init(_ tokens: [(content: String, id: UInt32)]) {
        var table = [[Candidate]](repeating: [], count: 256)
        for token in tokens {
            let bytes = Array(token.content.utf8)
            if let first = bytes.first { table[Int(first)].append(Candidate(bytes: bytes, id: token.id)) }
        }
        candidates = table.map { $0.sorted { $0.bytes.count > $1.bytes.count } }
    }

    /// Cuts `text`, UTF-8, into tokens and ranges between them.
    func pieces(of text: [UInt8]) -> [Piece] {
        var pieces: [Piece] = []
        var start = 0
        var position = 0
        while position < text.count {
            guard let match = match(in: text, at: position) else {
                position += 1
                continue
            }
            if start < position { pieces.append(.text(start..<position)) }
            pieces.append(.token(match.id))
            position += match.bytes.count
            start = position
        }
        if start < text.count { pieces.append(.text(start..<text.count)) }
        return pieces
    }

    private func match(in text: [UInt8], at position: Int) -> Candidate? {
        candidates[Int(text[position])].first { candidate in
            candidate.bytes.count <= text.count - position
                && candidate.bytes.indices.allSatisfy { text[position + $0] == candidate.bytes[$0] }
        }
    }
}
