// Words of the same text that were encoded before. Most words of a long prompt are repetitions.

/// Remembers the tokens of words. It lives for one call, so it needs no lock and its memory is bounded by the text.
struct WordCache {
    private var words = ByteStringTable(capacity: 256)
    /// Tokens of all remembered words, one after another, and where those of each word end.
    private var tokens: [UInt32] = []
    private var ends: [Int] = []
    private let limit: Int

    /// A cache of at most `limit` words.
    init(limit: Int) { self.limit = limit }

    /// Appends the tokens of `word` to `result`.
    mutating func append(_ word: Span<UInt8>, by encoder: BytePairEncoder, to result: inout [UInt32]) {
        if let number = words.number(of: word) {
            result.append(contentsOf: tokens[(number == 0 ? 0 : ends[number - 1])..<ends[number]])
            return
        }
        let start = result.count
        encoder.encode(word, into: &result)
        guard ends.count < limit else { return }
        _ = words.insert(word)
        tokens.append(contentsOf: result[start...])
        ends.append(tokens.count)
    }
}
