// A child process, by posix_spawn and waitpid.
//
// Not Foundation's `Process`: it waits for the end of a socket that children which other tests start at the same moment
// inherit, and so can wait for ever when tests run side by side.

import Foundation

/// A running program. Descriptors that the test has open are not passed on.
public final class ChildProcess: @unchecked Sendable {
    // Unchecked because `status` is only touched under `lock`; the rest never changes.

    /// The process's number.
    public let processID: Int32
    private let lock = NSLock()
    /// Held while a child is started and while a pipe is made, so that no child is started with a pipe that is half
    /// made.
    private static let spawning = NSLock()
    private var status: Int32?

    /// From the first child on, writing to one that has ended is an error of that write and no end of the test run.
    private static let closedPipesAreErrors: Void = { signal(SIGPIPE, SIG_IGN) }()

    /// What a child could not be started for.
    public struct StartError: Error {
        /// The error number of `posix_spawn`.
        public let number: Int32
    }

    /// Starts `executable`.
    ///
    /// - Parameters:
    ///   - input, output, errors: descriptors that become the child's standard ones; nil leaves the test's own.
    public init(
        _ executable: String, _ arguments: [String], input: Int32? = nil, output: Int32? = nil, errors: Int32? = nil,
        environment: [String: String] = [:]
    ) throws {
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (number, descriptor) in [input, output, errors].enumerated() {
            guard let descriptor else { continue }
            unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        }
        // The test run ignores SIGPIPE, and what is ignored would be ignored in the child too; threads of Dispatch hold
        // most signals back, and what is held back would be so in the child.
        Self.closedPipesAreErrors
        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        var reset = sigset_t()
        unsafe sigemptyset(&reset)
        unsafe sigaddset(&reset, SIGPIPE)
        unsafe posix_spawnattr_setsigdefault(&attributes, &reset)
        var none = sigset_t()
        unsafe sigemptyset(&none)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        // A child that is killed while it writes its coverage leaves half a file, and no profile of the run can be
        // merged.
        let quiet = ["LLVM_PROFILE_FILE": "/dev/null"].merging(environment) { $1 }
        let all = ProcessInfo.processInfo.environment.merging(quiet) { $1 }.map { "\($0)=\($1)" }
        var list = unsafe ([executable] + arguments).map { unsafe strdup($0) } + [nil]
        var variables = unsafe all.map { unsafe strdup($0) } + [nil]
        defer {
            for index in unsafe list.indices { unsafe free(list[index]) }
            for index in unsafe variables.indices { unsafe free(variables[index]) }
        }
        var child: pid_t = 0
        let failure = Self.spawning.withLock {
            unsafe posix_spawn(&child, executable, &actions, &attributes, &list, &variables)
        }
        guard failure == 0 else { throw StartError(number: failure) }
        processID = child
    }

    /// Waits for the end. A program that a signal ended has the signal's number as its status, 128 added.
    public func wait() -> Int32 {
        lock.withLock {
            if let status { return status }
            var raw: Int32 = 0
            while unsafe waitpid(processID, &raw, 0) < 0, errno == EINTR {}
            let signal = raw & 0x7F
            let status = signal == 0 ? (raw >> 8) & 0xFF : 128 + signal
            self.status = status
            return status
        }
    }

    /// Sends a signal.
    public func send(_ signal: Int32) { kill(processID, signal) }

    /// A pipe whose ends no other child inherits.
    public static func pipe() -> (reading: Int32, writing: Int32) {
        var ends: [Int32] = [-1, -1]
        return spawning.withLock {
            unsafe Foundation.pipe(&ends)
            for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
            return (ends[0], ends[1])
        }
    }

    /// The path of a program of this package, which lies beside the test bundle.
    public static func product(_ name: String) -> String {
        let tests = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
        let beside = tests.appendingPathComponent(name).path
        if FileManager.default.isExecutableFile(atPath: beside) { return beside }
        // Under `swift test` the runner is the toolchain's; the bundle's own path is an argument.
        let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? ""
        return URL(fileURLWithPath: bundle).deletingLastPathComponent().appendingPathComponent(name).path
    }
}
