// Starts and drives `store-worker`, the child process of the tests that need real processes and real kills.

import Foundation

/// A running `store-worker`. Its replies are lines on its standard output.
public final class Worker {
    private let process = Process()
    private let input = Pipe()
    private let output = Pipe()
    private var buffer = Data()

    /// Starts a worker with the given arguments.
    public init(_ arguments: [String]) throws {
        process.executableURL = Self.executable
        process.arguments = arguments
        process.standardInput = input
        process.standardOutput = output
        try process.run()
    }

    /// The worker lies beside the test bundle.
    private static var executable: URL {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let beside = tests.appendingPathComponent("store-worker")
        if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
        // Under `swift test` the runner is the toolchain's; the bundle's own path is an argument.
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? ""
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent("store-worker")
    }

    /// The process's number.
    public var processID: Int32 { process.processIdentifier }

    /// The next line, or nil when the worker has ended.
    public func nextLine() -> String? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                let line = String(decoding: buffer[buffer.startIndex..<end], as: UTF8.self)
                buffer.removeSubrange(buffer.startIndex...end)
                return line
            }
            let more = output.fileHandleForReading.availableData
            if more.isEmpty { return nil }
            buffer.append(more)
        }
    }

    /// All lines until the worker ends, and its exit status.
    public func finish() -> (lines: [String], status: Int32) {
        var lines: [String] = []
        while let line = nextLine() { lines.append(line) }
        process.waitUntilExit()
        return (lines, process.terminationStatus)
    }

    /// Ends the worker as a power button would: SIGKILL.
    public func kill() {
        Foundation.kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
    }
}
