// Shows the contents of pages on request: token ids, or texts by a tokenizer.

internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// Token ids and texts for people. What comes from a prompt is shown on one line, without control characters: it could
/// move a terminal's cursor.
struct Reveal {
    /// The most characters of a text that are shown on one line.
    static let textLimit = 100
    /// The most token ids that are shown on one line.
    static let tokenLimit = 16

    private let tokenizer: Tokenizer?

    /// What the arguments request; nil for nothing.
    init?(_ arguments: RevealArguments) throws {
        guard arguments.reveal else { return nil }
        tokenizer = try arguments.tokenizer.map { try Tokenizer(path: Self.file($0)) }
    }

    /// The tokenizer's file when a checkpoint's folder is named.
    private static func file(_ path: String) -> String {
        var isFolder: ObjCBool = false
        let exists = unsafe FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
        return exists && isFolder.boolValue ? path + "/tokenizer.json" : path
    }

    /// The token ids of a page; nil for a block, which has none.
    func tokens(of hash: PrefixHash, in store: StoreInspector) throws -> [TokenID]? {
        let tokens = try store.tokens(of: hash)
        return tokens.isEmpty ? nil : tokens
    }

    /// The beginning of the text of `tokens`.
    func line(_ tokens: [TokenID]) -> String {
        guard let tokenizer else {
            let more = tokens.count > Self.tokenLimit ? " ..." : ""
            return tokens.prefix(Self.tokenLimit).map(String.init).joined(separator: " ") + more
        }
        let text = tokenizer.decode(tokens)
        let more = text.count > Self.textLimit ? "..." : ""
        return "\"" + Self.escaped(String(text.prefix(Self.textLimit))) + "\"" + more
    }

    /// The whole text of `tokens` for JSON; nil without a tokenizer.
    func text(_ tokens: [TokenID]) -> String? { tokenizer?.decode(tokens) }

    /// `text` on one line, without characters that control a terminal, as one would write it between quotation marks.
    static func escaped(_ text: String) -> String {
        visible(text.replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\""))
    }

    /// `text` on one line, without characters that control a terminal or cannot be seen. A name that comes from a file
    /// could otherwise hide a line, or forge one.
    static func visible(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: isInvisible) else { return text }
        return text.unicodeScalars.reduce(into: "") { line, scalar in
            switch scalar {
            case "\n": line += "\\n"
            case "\t": line += "\\t"
            case _ where isInvisible(scalar): line += "\\u{\(String(scalar.value, radix: 16))}"
            default: line.unicodeScalars.append(scalar)
            }
        }
    }

    private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .unassigned, .privateUse, .surrogate: true
        default: false
        }
    }
}
