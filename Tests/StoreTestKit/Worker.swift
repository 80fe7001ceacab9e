// Starts and drives `store-worker`, the child process of the tests that need real processes and real kills.

import Foundation

/// A running `store-worker`. Its replies are lines on its standard output.
public final class Worker {
    private let process: ChildProcess
    private let output: FileHandle
    private var buffer = Data()

    /// Starts a worker with the given arguments, and perhaps variables of its own.
    public convenience init(_ arguments: [String], environment: [String: String] = [:]) throws {
        try self.init(executable: ChildProcess.product("store-worker"), arguments, environment: environment)
    }

    /// Starts the worker that lies at a path.
    public init(executable: String, _ arguments: [String], environment: [String: String] = [:]) throws {
        let pipe = ChildProcess.pipe()
        defer { close(pipe.writing) }
        output = FileHandle(fileDescriptor: pipe.reading, closeOnDealloc: true)
        process = try ChildProcess(
            executable, arguments, output: pipe.writing,
            environment: ["SWIFT_BACKTRACE": "enable=no"].merging(environment) { $1 })
    }

    /// The process's number.
    public var processID: Int32 { process.processID }

    /// The next line, or nil when the worker has ended.
    public func nextLine() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                let line = String(decoding: buffer[buffer.startIndex..<end], as: UTF8.self)
                buffer.removeSubrange(buffer.startIndex...end)
                return line
            }
            let more = output.availableData
            if more.isEmpty { return nil }
            buffer.append(more)
        }
    }

    /// All lines until the worker ends, and its exit status.
    public func finish() -> (lines: [String], status: Int32) {
        var lines: [String] = []
        while let line = nextLine() { lines.append(line) }
        return (lines, process.wait())
    }

    /// Starts a worker that stands still inside a write transaction of the store in `folder`, and waits until it does.
    /// Nil when it does not. `goOn` or `kill` ends it.
    public static func stopped(in folder: String) throws -> Worker? { try stopped(["hold", folder]) }

    /// As `stopped(in:)`, with other arguments.
    public static func stopped(_ arguments: [String]) throws -> Worker? {
        let worker = try Worker(arguments)
        return worker.nextLine() == "holding" ? worker : nil
    }

    /// Lets a worker that stands still go on, and waits for its end. Returns its exit status.
    public func goOn() -> Int32 {
        signalToGoOn()
        return finish().status
    }

    /// The same, without waiting.
    public func signalToGoOn() { process.send(SIGUSR1) }

    /// Ends the worker as a power button would: SIGKILL.
    public func kill() {
        process.send(SIGKILL)
        _ = process.wait()
    }
}
