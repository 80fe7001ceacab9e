// Reads a file or pipe line by line: input of any length takes only a bounded amount of memory.

internal import Foundation

/// Reads lines from a file, a pipe or a terminal. Used by one thread.
final class LineReader {
    /// The longest line that is read. It has room for a prompt of as many tokens as a store accepts.
    static let longestLine = 64 << 20

    /// What came next.
    enum Next: Equatable {
        /// A line without its end, and its number, from 1.
        case line(number: Int, bytes: [UInt8])
        /// A line longer than `longestLine`, which was skipped.
        case tooLong(number: Int)
        /// Nothing came within the time.
        case notYet
        /// The input has ended.
        case end
    }

    /// Bytes of the whole input; nil when it is not a regular file.
    let byteCount: Int?

    private let name: String
    private let file: Int32
    private let longest: Int
    private var buffer: [UInt8] = []
    /// Where the next line begins in `buffer`, and how far the search for its end has come.
    private var start = 0
    private var searched = 0
    private var number = 0
    private var isAtEnd = false
    /// Whether the rest of a line that is too long is being skipped.
    private var isSkipping = false

    private static let chunk = 1 << 16

    /// Opens `path`, or standard input for `-`.
    ///
    /// - Throws: `CommandFailure` when it cannot be opened or is a folder.
    init(path: String, longest: Int = LineReader.longestLine) throws {
        name = path == "-" ? "standard input" : path
        self.longest = longest
        file = path == "-" ? STDIN_FILENO : unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else {
            throw CommandFailure.unopened(name, errno)
        }
        let status = FileStatus(file)
        guard status?.isFolder != true else {
            if path != "-" { close(file) }
            throw CommandFailure.folder(name)
        }
        byteCount = status?.isRegular == true ? status?.byteCount : nil
    }

    deinit { if file != STDIN_FILENO { close(file) } }

    /// The next line. A last line without an end counts.
    /// - Parameter milliseconds: how long to wait for more input; 0 only checks whether there is some.
    /// - Throws: `CommandFailure` when the system refuses to read.
    func next(waiting milliseconds: Int32) throws -> Next {
        while true {
            if let end = buffer[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                return takeLine(upTo: end)
            }
            searched = buffer.count
            if buffer.count - start > longest {
                isSkipping = true
                discard(upTo: buffer.count)
            }
            if isAtEnd {
                guard start < buffer.count || isSkipping else { return .end }
                return takeLine(upTo: buffer.count)
            }
            guard try fill(waiting: milliseconds) else { return .notYet }
        }
    }

    /// What lies before `end`.
    private func takeLine(upTo end: Int) -> Next {
        number += 1
        defer {
            isSkipping = false
            discard(upTo: min(end + 1, buffer.count))
        }
        if isSkipping || end - start > longest { return .tooLong(number: number) }
        return .line(number: number, bytes: Array(buffer[start..<end]))
    }

    private func discard(upTo end: Int) {
        start = end
        searched = end
        // Move the rest down only when it is the smaller part: then the move costs no more than the room that it frees.
        if start > buffer.count / 2 {
            buffer.removeFirst(start)
            searched -= start
            start = 0
        }
    }

    /// Reads once; false when nothing came within the time.
    private func fill(waiting milliseconds: Int32) throws -> Bool {
        var request = pollfd(fd: file, events: Int16(POLLIN), revents: 0)
        let ready = unsafe poll(&request, 1, milliseconds)
        if ready == 0 || (ready < 0 && errno == EINTR) { return false }
        let old = buffer.count
        buffer.append(contentsOf: repeatElement(0, count: Self.chunk))
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe read(file, bytes.baseAddress.map { unsafe $0 + old }, Self.chunk)
        }
        let error = errno
        buffer.removeLast(Self.chunk - max(0, count))
        guard count >= 0 else {
            if error == EINTR || error == EAGAIN { return false }
            throw CommandFailure.unreadable(name, error)
        }
        isAtEnd = count == 0
        return true
    }
}

/// What the system says about an open file.
struct FileStatus: Equatable {
    var isRegular: Bool
    var isFolder: Bool
    var byteCount: Int
    var device: UInt64
    var inode: UInt64

    /// The status of an open file; nil when the system has none.
    init?(_ file: Int32) {
        var status = stat()
        guard unsafe fstat(file, &status) == 0 else { return nil }
        self.init(status)
    }

    /// The status of the file at `path`; nil when there is none.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: stat) {
        isFolder = status.st_mode & S_IFMT == S_IFDIR
        isRegular = status.st_mode & S_IFMT == S_IFREG
        byteCount = Int(status.st_size)
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
    }

    /// Whether both are one file.
    func isSameFile(as other: FileStatus) -> Bool { device == other.device && inode == other.inode }
}

extension CommandFailure {
    /// A file that the system does not open.
    static func unopened(_ name: String, _ number: Int32) -> CommandFailure {
        CommandFailure(
            status: number == ENOENT ? .missingInput : .inputOutput,
            sentence: "\(name) cannot be opened (\(systemMessage(number))).",
            remedy: "Name a file that exists and can be read, or - for standard input.")
    }

    /// A file that is open, and that the system does not read.
    static func unreadable(_ name: String, _ number: Int32) -> CommandFailure {
        CommandFailure(
            status: .inputOutput, sentence: "\(name) cannot be read (\(systemMessage(number))).",
            remedy: number == EBADF ? "It is closed: give it something to read." : "Check the disk.")
    }
}

/// The system's words for an error number, such as `No such file or directory`.
func systemMessage(_ number: Int32) -> String { unsafe String(cString: strerror(number)) }
