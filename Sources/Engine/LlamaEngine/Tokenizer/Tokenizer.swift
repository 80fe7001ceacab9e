// Text to token ids and back, as defined in the checkpoint's `tokenizer.json`.

/// A byte-level BPE tokenizer read from a Hugging Face `tokenizer.json`.
///
/// It gives the same ids as Hugging Face's `tokenizers` library, or refuses the file by name, with two exceptions.
/// First, normal form C and the classes of characters are those of today's Unicode. The library's tables are older, so
/// text with newer characters may get other ids. Second, `truncation` and `padding` in a file are ignored: no token is
/// cut off or added. Immutable; any thread may use it.
public final class Tokenizer: Sendable {
    /// The name of the file inside a checkpoint's folder.
    static let fileName = "tokenizer.json"

    /// One more than the largest token id.
    public let vocabularySize: Int

    let parts: TokenizerParts
    /// The bytes of each id; `nil` where there is no token.
    private let tokenBytes: [[UInt8]?]
    private let specialIDs: Set<UInt32>
    private let addedIDs: [String: UInt32]
    private let rawTokens: AddedTokenFinder
    private let normalizedTokens: AddedTokenFinder?

    /// How many distinct words one call of `encode` remembers. Beyond that, words are encoded again.
    private static let cachedWords = 1 << 16

    /// Reads the tokenizer at `path`.
    ///
    /// - Throws: `.missingFile`, `.notJSON`, `.invalidField`, and `.unsupportedTokenizer` for everything that is not
    ///   byte-level BPE with one of the known split patterns.
    /// - Complexity: reads the whole file; about a second for 128,000 tokens and 280,000 merges.
    public convenience init(path: String) throws(EngineError) {
        try self.init(TokenizerParts(path: path))
    }

    init(_ parts: TokenizerParts) {
        self.parts = parts
        let largest = max(parts.tokens.map(\.id).max() ?? 0, parts.added.map(\.id).max() ?? 0)
        vocabularySize = Int(largest) + 1
        var tokenBytes = [[UInt8]?](repeating: nil, count: vocabularySize)
        for token in parts.tokens { tokenBytes[Int(token.id)] = token.bytes }
        for token in parts.added { tokenBytes[Int(token.id)] = Array(token.content.utf8) }
        self.tokenBytes = tokenBytes
        specialIDs = Set(parts.added.filter(\.isSpecial).map(\.id))
        addedIDs = Dictionary(parts.added.map { ($0.content, $0.id) }, uniquingKeysWith: { first, _ in first })
        rawTokens = AddedTokenFinder(parts.added.filter { !$0.isNormalized }.map { ($0.content, $0.id) })
        let normalized = parts.added.filter(\.isNormalized)
        normalizedTokens =
            normalized.isEmpty
            ? nil : AddedTokenFinder(normalized.map { (Self.normalize($0.content, by: parts.normalizer), $0.id) })
    }

    /// The ids of `text`, with the special tokens that the tokenizer's template puts around it unless
    /// `addSpecialTokens` is false.
    ///
    /// Special tokens that are spelled inside the text become their ids, as in the reference library. Note that text
    /// from users can contain them. Text from a chat template usually begins with the template's special tokens
    /// already; `hasDoubledBeginning` detects that.
    public func encode(_ text: String, addSpecialTokens: Bool = true) -> [UInt32] {
        let ids = encodeAlone(text)
        return addSpecialTokens ? parts.template.prefix + ids + parts.template.suffix : ids
    }

    /// Whether `ids` begin twice with the special tokens that the template puts before a text. This is rarely intended:
    /// the text began with them already. If so, encode it with `addSpecialTokens: false`.
    public func hasDoubledBeginning(_ ids: [UInt32]) -> Bool {
        let prefix = parts.template.prefix
        return !prefix.isEmpty && ids.starts(with: prefix + prefix)
    }

    /// The ids of `text` with nothing around it.
    private func encodeAlone(_ text: String) -> [UInt32] {
        var words = WordCache(limit: Self.cachedWords)
        var ids: [UInt32] = []
        let bytes = Array(text.utf8)
        for piece in rawTokens.pieces(of: bytes) {
            switch piece {
            case .token(let id): ids.append(id)
            case .text(let range): encode(String(decoding: bytes[range], as: UTF8.self), &words, into: &ids)
            }
        }
        return ids
    }

    /// The text of `ids`. Special tokens and ids without a token are left out, and bytes that are not UTF-8 become
    /// U+FFFD.
    public func decode(_ ids: [UInt32]) -> String {
        String(decoding: ids.flatMap { visibleBytes(of: $0) }, as: UTF8.self)
    }

    /// The bytes of a token, even of a special one; `nil` when no token has this id. They need not be complete
    /// characters.
    public func bytes(of id: UInt32) -> [UInt8]? {
        Int(id) < tokenBytes.count ? tokenBytes[Int(id)] : nil
    }

    /// The id of an added token, for example `<|eot_id|>`; `nil` when no token has this spelling.
    public func id(ofAdded content: String) -> UInt32? { addedIDs[content] }

    /// Whether decoding leaves the token out.
    public func isSpecial(_ id: UInt32) -> Bool { specialIDs.contains(id) }

    /// The bytes to which decoding turns one token.
    func visibleBytes(of id: UInt32) -> [UInt8] { isSpecial(id) ? [] : bytes(of: id) ?? [] }

    /// Encodes text between the tokens that are cut out before normalisation.
    private func encode(_ text: String, _ words: inout WordCache, into ids: inout [UInt32]) {
        let text = Self.normalize(text, by: parts.normalizer)
        guard let normalizedTokens else { return split(text, &words, into: &ids) }
        let bytes = Array(text.utf8)
        for piece in normalizedTokens.pieces(of: bytes) {
            switch piece {
            case .token(let id): ids.append(id)
            case .text(let range): split(String(decoding: bytes[range], as: UTF8.self), &words, into: &ids)
            }
        }
    }

    /// Splits text without added tokens into words and encodes each.
    private func split(_ text: String, _ words: inout WordCache, into ids: inout [UInt32]) {
        let bytes = Array(text.utf8)
        let scanned = ScannedText(text)
        var start = 0
        while start < scanned.count {
            let end = scanned.wordEnd(from: start, by: parts.pattern)
            let word = bytes.span.extracting(scanned.offsets[start]..<scanned.offsets[end])
            words.append(word, by: parts.encoder, to: &ids)
            start = end
        }
    }

    private static func normalize(_ text: String, by normalizer: TokenizerParts.Normalizer) -> String {
        switch normalizer {
        case .none: text
        case .nfc: NormalForm.composed(text)
        }
    }
}
