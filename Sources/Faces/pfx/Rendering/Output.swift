// Writing results: at once, so that a full disk or a closed pipe is an error and not silence.

internal import ArgumentParser
internal import Foundation

/// Standard output and output files.
enum Output {
    /// The exit status after a closed pipe, as shells report it for a process that SIGPIPE ended.
    private static let brokenPipe = ExitCode(128 + SIGPIPE)

    /// Writes text to standard output.
    ///
    /// - Throws: as `write(_:to:named:)`.
    static func write(_ text: String) throws {
        try write(Array(text.utf8), to: STDOUT_FILENO, named: "standard output")
    }

    /// Writes all bytes to an open file.
    ///
    /// - Throws: `CommandFailure` when the system refuses; `ExitCode` 141 when the pipe is closed, which ends the
    ///   program silently.
    static func write(_ bytes: [UInt8], to file: Int32, named name: String) throws {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe Foundation.write(file, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            if count < 0 && errno == EPIPE { throw brokenPipe }
            guard count >= 0 else { throw failure(name, errno) }
            rest = rest.dropFirst(count)
        }
    }

    /// Whether an error is a closed pipe.
    static func isBrokenPipe(_ error: any Error) -> Bool { (error as? ExitCode) == brokenPipe }

    /// The error when output cannot be written.
    static func failure(_ name: String, _ number: Int32) -> CommandFailure {
        let remedy =
            switch number {
            case EISDIR: "Name a file, not a folder."
            case EBADF: "Run it with standard output open, or name an output file."
            case ENOSPC, EDQUOT, EFBIG: "Make room on the disk, and run it again; the store keeps its pages."
            default: "Name a file in a folder that exists and that this user may write."
            }
        return CommandFailure(
            status: .noRoom, sentence: "\(name) cannot be written (\(systemMessage(number))).", remedy: remedy)
    }

    /// Writes a line to standard error. Names in it may come from a file: see `Reveal.visible`.
    static func say(_ line: String) { writeMessage(Reveal.visible(line) + "\n") }

    /// Writes text to standard error. When that is closed or full, nobody is left to tell.
    static func writeMessage(_ text: String) {
        try? write(Array(text.utf8), to: STDERR_FILENO, named: "standard error")
    }
}
