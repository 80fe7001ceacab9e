// tools/bench/scale: a large store, written over several times: does anything grow or become slower with it?
//
// This process starts those that put and read, adds their figures up, and looks at the store when they have ended.

internal import Foundation
internal import PrefixStore

@main
struct Scale {
    static func main() throws {
        guard let options = ScaleOptions(Array(CommandLine.arguments.dropFirst())) else {
            FileHandle.standardError.write(Data((ScaleOptions.usage + "\n").utf8))
            exit(2)
        }
        if let number = options.worker {
            let encoder = JSONEncoder()
            try ScaleWorker(options, worker: number).run { portion in
                FileHandle.standardOutput.write(try encoder.encode(portion) + Data("\n".utf8))
            }
            return
        }
        defer { try? FileManager.default.removeItem(atPath: options.path) }
        try Self(options: options).run()
    }

    let options: ScaleOptions

    private func run() throws {
        let workers = try (0..<options.processes).map { try StartedWorker(options.arguments(ofWorker: $0)) }
        show(Report.head(options))
        var report = Report()
        while true {
            let portions = try workers.compactMap { try $0.next() }
            guard portions.count == workers.count else { break }
            show(report.row(portions, fileBytes: fileBytes, of: options))
        }
        guard workers.allSatisfy({ $0.wait() == 0 }) else { exit(1) }
        show(report.summary(options))
        try look()
    }

    private var fileBytes: Int {
        var status = stat()
        return unsafe stat(options.path + "/data.mdb", &status) == 0 ? Int(status.st_size) : 0
    }

    /// Opens, describes and verifies the store.
    private func look() throws {
        let opening = try (0..<9).map { _ in
            let start = now()
            let store = try Store(at: options.path, options: StoreOptions(hotCapacity: options.hotCapacity))
            let seconds = now() - start
            try store.close()
            return seconds
        }
        let inspector = try StoreInspector(at: options.path)
        defer { inspector.close() }
        var start = now()
        let info = try inspector.info()
        let infoSeconds = now() - start
        start = now()
        let report = try inspector.verify()
        let verifySeconds = now() - start
        show(
            """

            open \(Report.number(opening.sorted()[4] * 1000)) ms; `info` \(Report.number(infoSeconds * 1000)) ms for \
            \(info.pages) pages; `verify` \(Report.number(verifySeconds)) s, \
            \(Report.number(Double(report.rawBytes.value) / verifySeconds / 1e9)) GB/s of pages, \
            \(report.findingCount) findings.
            """)
        guard report.isSound else { exit(1) }
    }
}

/// Prints at once, in a pipe too: a row is shown as soon as it is known.
private func show(_ text: String) { FileHandle.standardOutput.write(Data((text + "\n").utf8)) }

/// A process that puts and reads.
private final class StartedWorker {
    private let process = Process()
    private let output: FileHandle
    private var buffer = Data()

    init(_ arguments: [String]) throws {
        let pipe = Pipe()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe").resolvingSymlinksInPath()
        process.arguments = arguments
        process.standardOutput = pipe
        output = pipe.fileHandleForReading
        try process.run()
    }

    /// The next portion; nil when there will be none.
    func next() throws -> Portion? {
        while true {
            if let end = buffer.firstIndex(of: 10) {
                let line = buffer[buffer.startIndex..<end]
                buffer.removeSubrange(buffer.startIndex...end)
                return try JSONDecoder().decode(Portion.self, from: Data(line))
            }
            let more = output.availableData
            if more.isEmpty { return nil }
            buffer.append(more)
        }
    }

    func wait() -> Int32 {
        process.waitUntilExit()
        return process.terminationStatus
    }
}
