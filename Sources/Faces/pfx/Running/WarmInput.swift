// The prefixes that `pfx warm` is given: lines of JSON, or whole files of text.

internal import Foundation

/// Reads prefixes, one at a time.
enum WarmInput {
    /// Gives every prefix of the file at `path` to `body`: its name for people, and its token ids or why it has none. Ends
    /// early when a signal asks to stop.
    ///
    /// - Throws: `CommandFailure` when the file cannot be read, and what `body` throws.
    static func forEach(
        of path: String, _ tokenizer: TokenizerChoice, _ body: (String, Result<[UInt32], InputError>) throws -> Void
    ) throws {
        guard path == "-" || path.hasSuffix(".jsonl") else {
            let text = try TextFile.read(path)
            return try body(path, Result { () throws(InputError) in try PromptFields.tokenIDs(of: text, tokenizer) })
        }
        let reader = try LineReader(path: path)
        while Interruption.signalNumber == nil {
            switch try reader.next(waiting: 100) {
            case .end: return
            case .notYet: continue
            case .tooLong(let number): try body("line \(number)", .failure(.tooLong))
            case .line(let number, let bytes):
                if PromptFields.isBlank(bytes) { continue }
                let name = PromptFields.id(json: bytes) ?? "line \(number)"
                try body(
                    name, Result { () throws(InputError) in try PromptFields(json: bytes).tokenIDs(tokenizer) })
            }
        }
    }
}

extension InputError {
    /// A line that is longer than any prompt.
    static let tooLong = InputError("It has more than \(LineReader.longestLine >> 20) MiB.")
}

/// Text files read whole.
enum TextFile {
    /// The text of the file at `path`, or of standard input for `-`.
    ///
    /// - Throws: `CommandFailure` when it cannot be read or is not UTF-8.
    static func read(_ path: String) throws -> String {
        let name = path == "-" ? "Standard input" : path
        let data: Data
        do {
            data =
                path == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw CommandFailure(
                status: .missingInput, sentence: "\(name) cannot be read.",
                remedy: "Name a file that exists and that this user may read.")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw CommandFailure(status: .badInput, sentence: "\(name) is not UTF-8 text.", remedy: "Convert it first.")
        }
        return text
    }
}
