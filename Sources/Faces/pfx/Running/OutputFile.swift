// The file that a batch writes. It is never cut unless the user says so, and two runs never share it.

internal import ArgumentParser
internal import Foundation

/// What happens to an output file that is not empty.
enum ExistingOutput: String, EnumerableFlag {
    case overwrite, append, resume

    static func help(for value: ExistingOutput) -> ArgumentHelp? {
        switch value {
        case .overwrite: "Replace an existing output file."
        case .append: "Add to an existing output file."
        case .resume:
            "Continue an existing output file: skip requests that have a line in it, even refused ones; add the rest."
        }
    }
}

/// What a resumed run keeps.
struct KeptLines {
    /// Ids of the lines. Requests with these ids are done.
    var ids: Set<String> = []
    /// Input line numbers of refused lines that have no id.
    var lineNumbers: Set<Int> = []
}

/// An output file, open and locked. Used by one thread.
final class OutputFile {
    let path: String
    let descriptor: Int32
    private(set) var kept = KeptLines()
    /// What `begin()` cuts the file to; nil when it stays as long as it is.
    private var length: Int?
    /// Whether this process made the file and has not begun. If so, the file is removed.
    private var isFreshAndUnused: Bool

    /// The fields of an output line that a resumed run needs.
    private struct Line: Decodable {
        var id: String?
        var line: Int?
    }

    /// Opens, makes and locks the file; a device or a pipe is opened only.
    ///
    /// - Throws: `CommandFailure` when it cannot be opened, when another run has locked it, or when it is not empty and
    ///   `existing` does not allow that.
    init(path: String, existing: ExistingOutput?) throws {
        self.path = path
        // Append, so that this run cannot overwrite what other programs write to the file.
        let flags = O_WRONLY | O_APPEND | O_CLOEXEC
        var file = unsafe open(path, flags | O_CREAT | O_EXCL, 0o666)
        isFreshAndUnused = file >= 0
        if file < 0 && errno == EEXIST { file = unsafe open(path, flags) }
        descriptor = file
        guard file >= 0 else { throw Output.failure(path, errno) }
        // Two runs that write one file would mix their lines and cut each other's. A device, such as /dev/null, or a
        // pipe is everybody's.
        guard FileStatus(file)?.isRegular == true else { return }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK else {
            isFreshAndUnused = false
            throw CommandFailure(
                status: .noRoom, sentence: "Another run is writing \(path).",
                remedy: "Name another output file, or wait until that run has ended.")
        }
        guard let status = FileStatus(file), status.byteCount > 0 else { return }
        switch existing {
        case nil:
            throw CommandFailure(
                status: .noRoom, sentence: "The output file \(path) exists.",
                remedy:
                    "Give --resume to continue it, --append to add to it or --overwrite to replace it, or name another."
            )
        case .overwrite: length = 0
        case .append:
            guard try endOfWholeLines(status.byteCount) == status.byteCount else {
                throw CommandFailure(
                    status: .noRoom, sentence: "The output file \(path) ends inside a line.",
                    remedy: "Give --resume, which cuts that line off, or --overwrite.")
            }
        case .resume:
            let end = try endOfWholeLines(status.byteCount)
            try keepLines(upTo: end)
            length = end
        }
    }

    deinit {
        if isFreshAndUnused { unsafe unlink(path) }
        if descriptor >= 0 { close(descriptor) }
    }

    /// Cuts the file as requested, at the first call.
    func begin() throws {
        isFreshAndUnused = false
        guard let length else { return }
        guard ftruncate(descriptor, length) == 0 else { throw Output.failure(path, errno) }
        self.length = nil
    }

    /// The bytes up to and with the last line end.
    private func endOfWholeLines(_ byteCount: Int) throws -> Int {
        let reading = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard reading >= 0 else { throw Output.failure(path, errno) }
        defer { close(reading) }
        var end = byteCount
        while end > 0 {
            var chunk = [UInt8](repeating: 0, count: min(end, 1 << 16))
            let start = end - chunk.count
            let count = unsafe chunk.withUnsafeMutableBytes { unsafe pread(reading, $0.baseAddress, $0.count, start) }
            guard count == chunk.count else { throw Output.failure(path, count < 0 ? errno : EIO) }
            if let last = chunk.lastIndex(of: UInt8(ascii: "\n")) { return start + last + 1 }
            end = start
        }
        return 0
    }

    /// Notes what the first `byteCount` bytes hold.
    private func keepLines(upTo byteCount: Int) throws {
        let reader = try LineReader(path: path)
        let decoder = JSONDecoder()
        var offset = 0
        while offset < byteCount {
            guard case .line(let number, let bytes) = try reader.next(waiting: -1) else { throw noOutput(1) }
            offset += bytes.count + 1
            if PromptFields.isBlank(bytes) { continue }
            guard let line = try? decoder.decode(Line.self, from: Data(bytes)), line.id != nil || line.line != nil
            else {
                throw noOutput(number)
            }
            if let id = line.id {
                kept.ids.insert(id)
            } else if let number = line.line {
                kept.lineNumbers.insert(number)
            }
        }
    }

    private func noOutput(_ number: Int) -> CommandFailure {
        CommandFailure(
            status: .badInput, sentence: "Line \(number) of \(path) is not a line that `pfx batch` writes.",
            remedy: "Name the output of the run that is to be continued.")
    }
}
