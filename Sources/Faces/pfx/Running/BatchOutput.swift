// Output lines. Each is written completely as soon as its request is finished.

internal import Foundation

/// The output of a batch: a file, or standard output. Used by one thread.
final class BatchOutput {
    private let file: OutputFile?
    private let encoder = JSONEncoder()

    /// Opens and locks the file at `path`; `-` is standard output. The file does not change until `begin()`.
    ///
    /// - Throws: `CommandFailure` when the file cannot be opened, when another run uses it, when it is not empty and
    ///   `existing` does not say what to do, or when it is the file at `input`.
    init(path: String, input: String, existing: ExistingOutput?) throws {
        if path != "-" { try Self.refuse(path, ifSameAs: input) }
        file = path == "-" ? nil : try OutputFile(path: path, existing: existing)
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
    }

    /// Whether the lines go to standard output.
    var isStandardOutput: Bool { file == nil }

    /// The lines that a resumed run found in its output.
    var kept: KeptLines { file?.kept ?? KeptLines() }

    /// Empties the file, or cuts off an incomplete line, as requested. Call it when the run is sure to begin.
    func begin() throws { try file?.begin() }

    /// Writes one line. When it returns, the system has the line: it stays even if this process is killed.
    ///
    /// - Throws: `CommandFailure` when the disk is full; `ExitCode` 141 when the pipe is closed.
    func write(_ line: some Encodable) throws {
        try begin()
        var bytes = [UInt8](try encoder.encode(line))
        bytes.append(UInt8(ascii: "\n"))
        try Output.write(bytes, to: file?.descriptor ?? STDOUT_FILENO, named: file?.path ?? "standard output")
    }

    private static func refuse(_ path: String, ifSameAs input: String) throws {
        guard let old = FileStatus(path: path), let source = FileStatus(path: input), old.isRegular,
            old.isSameFile(as: source)
        else { return }
        throw CommandFailure(
            status: .usage, sentence: "Input and output are the same file, \(path).",
            remedy: "Name another output file.")
    }
}
