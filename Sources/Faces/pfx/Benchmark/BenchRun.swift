// Runs the phases of the benchmark in child processes, as often as the user wants.

internal import ArgumentParser
internal import Foundation
internal import PrefixStore

/// What one repetition measured.
struct BenchSample: Codable {
    var fill: FillResult
    var restart: RestartResult
    var warm: LoadResult?
    var cold: LoadResult?
    var remote: RemoteResult?
}

/// A run of the benchmark: a folder, and processes that work in it one after the other.
struct BenchRun {
    /// The folder to work in; it is removed afterwards.
    private let folder: String
    /// Raw pages: those given, or generated ones in the folder.
    let pagesFile: String
    private let arguments: [String]

    /// Makes a new folder in `parent`.
    ///
    /// - Parameter arguments: the command line without `bench` itself, for the children.
    init(in parent: String, pagesFile: String?, arguments: [String]) throws {
        folder = "\(parent)/pfx-bench-\(ProcessInfo.processInfo.processIdentifier)"
        self.pagesFile = pagesFile ?? folder + "/pages"
        self.arguments = arguments
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw CommandFailure(
                status: .inputOutput, sentence: "The folder \(folder) cannot be made.",
                remedy: "Name a folder on the disk that you want to measure with --store.")
        }
        // An interrupt ends the child. This run then ends too, but it still has to remove its folder.
        signal(SIGINT) { _ in }
    }

    /// Removes the folder.
    func remove() { try? FileManager.default.removeItem(atPath: folder) }

    /// Runs all phases `repeats` times, each time on a new store.
    func samples(repeats: Int, generates: Bool, phases: [BenchPhase]) throws -> [BenchSample] {
        if generates { _ = try child(.pages) }
        return try (0..<repeats).map { number in
            let store = "\(folder)/store-\(number)"
            defer { try? FileManager.default.removeItem(atPath: store) }
            let fill: FillResult = try result(.fill, store)
            let restart: RestartResult = try result(.restart, store)
            var sample = BenchSample(fill: fill, restart: restart)
            if phases.contains(.loadWarm) { sample.warm = try checked(result(.loadWarm, store)) }
            if phases.contains(.loadCold) { sample.cold = try checked(result(.loadCold, store)) }
            if phases.contains(.remote) {
                let remote: RemoteResult = try result(.remote, store)
                try check(remote.isExact)
                sample.remote = remote
            }
            return sample
        }
    }

    private func checked(_ load: LoadResult) throws -> LoadResult {
        try check(load.isExact)
        return load
    }

    private func check(_ isExact: Bool) throws {
        guard isExact else {
            throw CommandFailure(
                status: .internalError, sentence: "The loaded bytes differ from the stored ones.",
                remedy: "Check the memory and the disk; if both are sound, please report this.")
        }
    }

    private func result<Result: Decodable>(_ phase: BenchPhase, _ store: String) throws -> Result {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(Result.self, from: try child(phase, store))
    }

    /// Runs this program for one phase. What it prints on standard error is shown.
    private func child(_ phase: BenchPhase, _ store: String = "") throws -> Data {
        let process = Process()
        process.executableURL = URL(
            fileURLWithPath: try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe"))
        // Later options win over earlier ones of the same name.
        process.arguments =
            ["bench"] + arguments + ["--phase", phase.rawValue, "--pages-file", pagesFile]
            + (store.isEmpty ? [] : ["--store", store])
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationReason == .exit else {
            throw CommandFailure(
                status: .failure, sentence: "A signal ended the phase \(phase.rawValue).",
                remedy: "Run it again; signal 9 usually means that the memory ran out.")
        }
        // The child has reported the error.
        guard process.terminationStatus == 0 else { throw ExitCode(process.terminationStatus) }
        return data
    }
}
