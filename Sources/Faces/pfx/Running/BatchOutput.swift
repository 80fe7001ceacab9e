// Output lines, each written whole as soon as its request is finished.

internal import Foundation
internal import LlamaEngine

/// The output of a batch: a file that is begun anew, or standard output. Used by one thread.
final class BatchOutput {
    private let file: Int32
    private let name: String
    private let encoder = JSONEncoder()

    /// Opens the file at `path` and empties it; `-` is standard output.
    ///
    /// - Throws: `CommandFailure` when it cannot be opened, or is the file at `input`, which would be lost.
    init(path: String, input: String) throws {
        name = path == "-" ? "standard output" : path
        if path != "-" { try Self.refuse(path, ifSameAs: input) }
        // Appending: whatever else writes to the file cannot be overwritten.
        file =
            path == "-"
            ? STDOUT_FILENO : unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0o666)
        guard file >= 0 else {
            throw CommandFailure(
                status: .noRoom, sentence: "\(name) cannot be written (\(systemMessage(errno))).",
                remedy: "Name a file in a folder that exists and that this user may write.")
        }
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
    }

    deinit { if file != STDOUT_FILENO { close(file) } }

    /// Whether the lines go to standard output.
    var isStandardOutput: Bool { file == STDOUT_FILENO }

    /// Writes one line. When it returns, the line is in the system's hands: killing this process does not take it back.
    ///
    /// - Throws: `CommandFailure` when the disk is full or the pipe is closed.
    func write(_ line: some Encodable) throws {
        var bytes = [UInt8](try encoder.encode(line))
        bytes.append(UInt8(ascii: "\n"))
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Foundation.write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count >= 0 else {
                throw CommandFailure(
                    status: .noRoom, sentence: "\(name) cannot be written (\(systemMessage(errno))).",
                    remedy: "Make room on the disk, or keep the pipe open, and run it again; the store keeps its pages."
                )
            }
            rest = rest.dropFirst(count)
        }
    }

    private static func refuse(_ path: String, ifSameAs input: String) throws {
        guard let old = FileStatus(path: path), let source = FileStatus(path: input), old.isRegular,
            old.isSameFile(as: source)
        else { return }
        throw CommandFailure(
            status: .usage, sentence: "Input and output are one file, \(path).", remedy: "Name another output file.")
    }
}

/// The line of a finished request. Times are seconds.
struct ResultLine: Encodable {
    var id: String
    /// Nil when the checkpoint has no tokenizer.
    var text: String?
    var tokens: [UInt32]
    var promptTokens: Int
    var reusedTokens: Reused
    var queueSeconds: Double
    var prefillSeconds: Double
    /// Nil when no token was generated.
    var ttftSeconds: Double?
    var finishReason: String

    /// Prompt tokens whose KV was not computed.
    struct Reused: Encodable, Equatable {
        var hot = 0
        var cold = 0
        /// Those of the hot ones that came from another request of the same run and not from the store.
        var shared = 0
    }

    init(_ result: GenerationResult, text: String?, finishReason: FinishReason) {
        id = result.id
        self.text = text
        tokens = result.tokens
        promptTokens = result.promptTokens
        let reused = result.reusedTokens
        reusedTokens = Reused(hot: reused.hot, cold: reused.cold, shared: reused.shared)
        queueSeconds = result.queueSeconds.inMicroseconds
        prefillSeconds = result.prefillSeconds.inMicroseconds
        ttftSeconds = result.timeToFirstToken?.inMicroseconds
        self.finishReason = finishReason.rawValue
    }
}

/// The line of a bad line. `id` is null when it has none.
struct ErrorLine: Encodable {
    var id: String?
    var line: Int
    var error: String

    init(_ bad: BadLine) {
        id = bad.id
        line = bad.line
        error = bad.sentence
    }

    private enum CodingKeys: CodingKey { case id, line, error }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(id, forKey: .id)
        try container.encode(line, forKey: .line)
        try container.encode(error, forKey: .error)
    }
}

extension Double {
    /// Seconds rounded to whole microseconds: what was measured, without digits that mean nothing.
    var inMicroseconds: Double { (self * 1e6).rounded() / 1e6 }
}
