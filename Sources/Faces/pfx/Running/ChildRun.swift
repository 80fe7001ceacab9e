// The program run again, in a process of its own that may die of the file that it looks at.

internal import Foundation

/// A run of this program in a child process, with the same files and descriptors.
enum ChildRun {
    /// How a child ended.
    enum End {
        case status(Int32)
        case signal(Int32)
    }

    /// Runs the program with its own arguments, and `option` behind the command's name, and waits for its end.
    static func again(with option: String) throws(CommandFailure) -> End {
        var arguments = CommandLine.arguments
        arguments.insert(option, at: min(2, arguments.count))
        var list = unsafe arguments.map { unsafe strdup($0) } + [nil]
        var variables = unsafe ProcessInfo.processInfo.environment.map { unsafe strdup("\($0)=\($1)") } + [nil]
        defer {
            for index in unsafe list.indices { unsafe free(list[index]) }
            for index in unsafe variables.indices { unsafe free(variables[index]) }
        }
        var child: pid_t = 0
        let failure = unsafe posix_spawn(&child, "/proc/self/exe", nil, nil, &list, &variables)
        guard failure == 0 else {
            let reason = unsafe String(cString: strerror(failure))
            throw CommandFailure(
                status: .inputOutput, sentence: "No process can be started: \(reason).",
                remedy: "Raise the limit on processes, or give \(option).")
        }
        var raw: Int32 = 0
        while unsafe waitpid(child, &raw, 0) < 0, errno == EINTR {}
        let signal = raw & 0x7F
        return signal == 0 ? .status(raw >> 8 & 0xFF) : .signal(signal)
    }

    /// The process that started this one.
    private static let parent = getppid()

    /// Ends this process, a child, when its parent has ended: nobody would read what it says. To be called at the
    /// beginning, and now and then.
    static func endWithParent() {
        if getppid() != parent { exit(ExitStatus.failure.rawValue) }
    }
}
