// The text of a reply while it comes, and the texts that end it.

internal import LlamaEngine

/// Watches a reply for stop texts. The text before the first of them is the reply.
struct ReplyText {
    private var decoder: StreamingDecoder
    private var bytes: [UInt8] = []
    private let stops: [[UInt8]]
    private let longestStop: Int

    /// A reply without tokens. The texts in `stops` must not be empty.
    init(_ tokenizer: Tokenizer, stops: [String]) {
        decoder = StreamingDecoder(tokenizer)
        self.stops = stops.map { Array($0.utf8) }
        longestStop = self.stops.map(\.count).max() ?? 0
    }

    /// Takes the next token. Returns the text before the first stop text, if one has come.
    mutating func append(_ token: UInt32) -> String? {
        // A stop text may have begun in an earlier token.
        let from = max(0, bytes.count - longestStop + 1)
        bytes += Array(decoder.append(token).utf8)
        for start in from..<max(from, bytes.count) where stops.contains(where: { bytes[start...].starts(with: $0) }) {
            return String(decoding: bytes[..<start], as: UTF8.self)
        }
        return nil
    }
}
