// The prefixes that `pfx warm` is given: lines of JSON, or whole files of text.

internal import Foundation
internal import Glibc

/// Reads prefixes, one at a time.
struct WarmInput {
    let encoder: PromptEncoder
    /// Whether a line with an unknown field is refused.
    let isStrict: Bool
    private(set) var ignored = IgnoredFields()

    /// A reader that has read nothing.
    init(_ encoder: PromptEncoder, isStrict: Bool) {
        self.encoder = encoder
        self.isStrict = isStrict
    }

    /// Passes every prefix of the file at `path` to `body`: its name for people, and its token ids or the reason why it
    /// has none. Ends early when a signal asks to stop.
    ///
    /// - Throws: `CommandFailure` when the file cannot be read, and what `body` throws.
    mutating func forEach(of path: String, _ body: (String, Result<[UInt32], InputError>) throws -> Void) throws {
        guard path == "-" || path.hasSuffix(".jsonl") else {
            let text = try TextFile.read(path)
            return try body(path, Result { () throws(InputError) in try encoder.tokenIDs(of: text) })
        }
        let reader = try LineReader(path: path)
        while Interruption.signalNumber == nil {
            let next = try reader.next(waiting: 100)
            // A signal may have come while this waited: what was read after it is not begun.
            guard Interruption.signalNumber == nil else { return }
            switch next {
            case .end: return
            case .notYet: continue
            case .tooLong(let number): try body("line \(number)", .failure(.tooLong))
            case .line(let number, let bytes):
                if PromptFields.isBlank(bytes) { continue }
                try body(PromptFields.id(json: bytes) ?? "line \(number)", tokenIDs(bytes))
            }
        }
    }

    private mutating func tokenIDs(_ bytes: [UInt8]) -> Result<[UInt32], InputError> {
        do throws(InputError) {
            let fields = try PromptFields(json: bytes)
            try ignored.take(fields.unknown, isStrict: isStrict)
            return .success(try encoder.tokenIDs(of: fields))
        } catch {
            return .failure(error)
        }
    }
}

/// Text files that are read whole.
enum TextFile {
    /// The text of the file at `path`, or of standard input for `-`. It may be a pipe.
    ///
    /// - Throws: `CommandFailure` when it cannot be read or is not UTF-8.
    static func read(_ path: String) throws -> String {
        let name = path == "-" ? "Standard input" : path
        let file = path == "-" ? STDIN_FILENO : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw CommandFailure.unopened(name, errno) }
        defer { if path != "-" { close(file) } }
        if FileStatus(file)?.isFolder == true { throw CommandFailure.folder(path) }
        guard let text = String(validating: try contents(of: file, name), as: UTF8.self) else {
            throw CommandFailure(status: .badInput, sentence: "\(name) is not UTF-8 text.", remedy: "Convert it first.")
        }
        return text
    }

    /// All that comes. A signal that asks the run to end does not make reading fail.
    private static func contents(of file: Int32, _ name: String) throws -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 1 << 16)
        while true {
            let count = unsafe chunk.withUnsafeMutableBytes { room in
                unsafe Glibc.read(file, room.baseAddress, room.count)
            }
            if count == 0 { return bytes }
            if count > 0 {
                bytes += chunk[..<count]
            } else if errno != EINTR {
                throw CommandFailure.unreadable(name, errno)
            }
        }
    }
}
