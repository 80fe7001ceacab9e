// How errors end the program: one line on standard error, and an exit status that a script can act on.

internal import ArgumentParser
internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// The exit statuses; `Pfx.swift` lists what they mean.
enum ExitStatus: Int32 {
    case failure = 1
    case damage = 2
    case usage = 64
    case badInput = 65
    case missingInput = 66
    case unusableStore = 69
    case internalError = 70
    case noRoom = 73
    case inputOutput = 74

    /// For `throw`: ends the program with this status and prints nothing.
    var code: ExitCode { ExitCode(rawValue) }
}

/// An error of the program itself, as opposed to the store's and the engine's.
struct CommandFailure: Error {
    /// The status to end with.
    var status: ExitStatus
    /// What happened, in one sentence.
    var sentence: String
    /// What to do about it, in one sentence.
    var remedy: String

    /// Ends the command if a file that it names does not exist.
    static func require(file path: String) throws(CommandFailure) {
        guard FileStatus(path: path) == nil, errno == ENOENT || errno == ENOTDIR else { return }
        throw CommandFailure(
            status: .missingInput, sentence: "There is no file \(path).", remedy: "Correct its name, or make it.")
    }

    /// A folder where a file is needed.
    static func folder(_ path: String) -> CommandFailure {
        CommandFailure(
            status: .missingInput, sentence: "\(path) is a folder.",
            remedy: "Name a file, or - for standard input.")
    }
}

/// Reports an error and ends the program.
enum ErrorReport {
    /// Prints `pfx: sentence remedy` on standard error and exits. The parser itself prints what it throws (help, a
    /// wrong command line).
    static func end(with error: any Error) -> Never {
        switch described(error) {
        case .some(let failure):
            print(failure)
            exit(failure.status.rawValue)
        case nil:
            Pfx.exit(withError: error)
        }
    }

    /// Prints an error that does not end the program.
    static func print(_ failure: CommandFailure) {
        Output.say("pfx: \(failure.sentence) \(failure.remedy)")
    }

    /// The error in the words of the program; nil for errors that the parser handles.
    static func described(_ error: any Error) -> CommandFailure? {
        switch error {
        case let failure as CommandFailure: failure
        case let error as StoreError:
            CommandFailure(status: error.exitStatus, sentence: error.description, remedy: error.commandLineRemedy)
        case let error as EngineError:
            CommandFailure(
                status: error.exitStatus, sentence: error.commandLineWords.sentence,
                remedy: error.commandLineWords.remedy)
        case is ExitCode, is CleanExit, is ValidationError: nil
        default:
            // The parser's own errors are not public, so only the parser knows their status.
            Pfx.exitCode(for: error) == .failure
                ? CommandFailure(
                    status: .internalError, sentence: "This program does not know the error \(error).",
                    remedy: "Please report it.")
                : nil
        }
    }
}

extension StoreError {
    /// What to do about it, with the commands of this program.
    var commandLineRemedy: String {
        switch self {
        case .diskFull: "Free some space on the disk, or run `pfx trim`; writing then resumes."
        case .quotaFull: "Raise the quota, or unpin prefixes with `pfx unpin`."
        case .noSuchPage: "List the stored pages with `pfx ls`; this one may have been evicted."
        case .tooManyNames: "Remove names that nobody needs; `pfx ls --names` lists them."
        case .noSuchName: "List the names with `pfx ls --names`."
        case .noSuchSpace: "List the spaces with `pfx spaces`."
        default: remedy
        }
    }

    /// The exit status of a program that ends with this error.
    var exitStatus: ExitStatus {
        switch self {
        case .invalidOption, .invalidName: .usage
        case .invalidLayout, .invalidIdentity, .invalidTokens, .invalidPages, .invalidSideState,
            .invalidBlock:
            .badInput
        case .notAFolder: .missingInput
        case .invalidKey: .usage
        case .noSuchPage, .noSuchName, .noSuchSpace: .failure
        case .notAStore, .readOnly, .permissions, .networkFileSystem, .alreadyOpen, .formatMismatch, .damaged,
            .readersFull, .writerBusy, .fileReplaced, .sealedSpace, .wrongKey, .remoteFailure:
            .unusableStore
        case .diskFull, .quotaFull, .mapFull, .tooManyNames: .noRoom
        case .forked, .closed: .internalError
        case .system, .diskFailure: .inputOutput
        }
    }
}

extension EngineError {
    /// The flags of the engine's options.
    private static let flags = [
        "pageSize": "--page-size", "threads": "--threads", "maxParallel": "--parallel", "kvMemory": "--kv-memory",
    ]

    /// What happened and what to do, with options named as on the command line.
    var commandLineWords: (sentence: String, remedy: String) {
        switch self {
        case .invalidOption(let name, let reason):
            ("\(Self.flags[name] ?? name) is out of bounds: \(reason).", remedy)
        case .kvMemoryTooSmall: (description, "Raise --kv-memory, or ask for fewer new tokens.")
        case .store(let error): (description, error.commandLineRemedy)
        default: (description, remedy)
        }
    }

    /// The exit status of a program that ends with this error.
    var exitStatus: ExitStatus {
        switch self {
        case .missingFile, .missingFolder, .otherWeights: .missingInput
        case .system(_, _, let number): number == ENOENT ? .missingInput : .inputOutput
        case .invalidOption, .invalidSampling, .kvMemoryTooSmall: .usage
        case .store(let error): error.exitStatus
        default: .badInput
        }
    }
}
