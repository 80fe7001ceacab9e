// `pfx bench`: measures a store on this machine.

internal import ArgumentParser
internal import Foundation
internal import PrefixStore

/// `pfx bench`.
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measure the speed of a store on this machine.",
        discussion: """
            Puts the KV of one long prompt into a new store, opens the store in a new process and loads the KV, and \
            measures memcpy of the same bytes for comparison. Works in a temporary folder inside --store and removes \
            it. Needs about three times the KV in RAM and twice on disk. Without --pages-file, pages are generated: \
            normally distributed numbers with one scale per plane, which is close to real KV.

            EXAMPLES:
              pfx bench
              pfx bench --model-shape demo --tokens 1024 --store /mnt/disk
              pfx bench --remote redis://cache:6379
            """)

    @Option(help: ArgumentHelp("Model whose KV shape is used.", valueName: "model"))
    var modelShape: ModelShape = .llama31of8B

    @Option(help: ArgumentHelp("Number of layers, for another shape.", valueName: "count"))
    var layers: Int?

    @Option(help: ArgumentHelp("KV heads per layer, for another shape.", valueName: "count"))
    var kvHeads: Int?

    @Option(help: ArgumentHelp("Elements per head, for another shape.", valueName: "count"))
    var headDimension: Int?

    @Option(help: ArgumentHelp("Element type.", valueName: "type"))
    var element: BenchElement = .bf16

    @Option(help: ArgumentHelp("Codec for pages.", valueName: "codec"))
    var codec: StoreCodec = .auto

    @Option(help: ArgumentHelp("Tokens per page.", valueName: "tokens"))
    var pageSize = 64

    @Option(help: ArgumentHelp("Tokens of the prompt, rounded up to whole pages.", valueName: "tokens"))
    var tokens = 4096

    @Flag(exclusivity: .exclusive, help: "Measure only loads from the disk, or only loads from the page cache.")
    var only: Temperature?

    @Option(
        name: .customLong("repeat"),
        help: ArgumentHelp("Number of measurements; medians are shown.", valueName: "count"))
    var repeats = 3

    @Option(help: ArgumentHelp("Folder on the disk to measure.", valueName: "folder"))
    var store = "."

    @Option(
        help: ArgumentHelp(
            "Also measure this remote: put the pages there, and load them from there. They stay ten minutes; in an object "
                + "store, until its rules remove them.", valueName: "url"))
    var remote: String?

    @Option(help: ArgumentHelp("File of raw pages to use instead of generated ones.", valueName: "file"))
    var pagesFile: String?

    @Option(help: ArgumentHelp("File for a picture of the rates, as SVG.", valueName: "file"))
    var plot: String?

    @Flag(help: "Print one JSON object.")
    var json = false

    @Option(help: .hidden)
    var phase: BenchPhase?

    @Option(help: .hidden)
    var startAt = 0.0

    @Option(help: .hidden)
    var sequencePages = Int.max

    /// Which loads are measured.
    enum Temperature: String, EnumerableFlag { case cold, warm }

    func validate() throws {
        guard (1...1 << 30).contains(tokens) else { throw ValidationError("--tokens must be 1 or more.") }
        guard (1...100).contains(repeats) else { throw ValidationError("--repeat must be 1 to 100.") }
        guard (1...4096).contains(pageSize) else { throw ValidationError("--page-size must be 1 to 4096.") }
        guard sequencePages > 0 else { throw ValidationError("--sequence-pages must be 1 or more.") }
        let numbers = [layers, kvHeads, headDimension]
        guard numbers.allSatisfy({ $0 == nil }) || numbers.allSatisfy({ $0 != nil }) else {
            throw ValidationError("Give --layers, --kv-heads and --head-dimension together.")
        }
    }

    func run() throws {
        if let phase { return try run(phase) }
        let work = try work(folder: store, pagesFile: "")
        let memory = ProcessInfo.processInfo.physicalMemory
        guard UInt64(work.byteCount) <= memory / 4 else {
            throw CommandFailure(
                status: .usage,
                sentence:
                    "The pages take \(ByteCount(UInt64(work.byteCount))), but the RAM has only \(ByteCount(memory)).",
                remedy: "Give fewer --tokens: the benchmark needs three times the pages in RAM.")
        }
        // Not after all else has been measured.
        if let remote { try Self.check(remote) }
        let run = try BenchRun(in: store, pagesFile: pagesFile, arguments: childArguments)
        defer { run.remove() }
        let loads: [BenchPhase] = only.map { $0 == .cold ? [.loadCold] : [.loadWarm] } ?? [.loadWarm, .loadCold]
        let phases = loads + (remote == nil ? [] : [.remote])
        let load = Machine.loadAverage
        let samples = try run.samples(repeats: repeats, generates: pagesFile == nil, phases: phases)
        let report = BenchReport(
            samples, work: work, model: modelName, dimensions: dimensions, element: element.element,
            isGenerated: pagesFile == nil, loadAverage: load)
        if let plot { try write(report.plot.svg, to: plot) }
        try Output.write(json ? JSONOutput.text(report) : report.text)
    }

    /// What cannot be read and written cannot be measured.
    private static func check(_ remote: String) throws {
        let report = try RemoteReport(checking: RemoteOptions(named: remote))
        guard !report.isReadable || !report.isWritable else { return }
        throw CommandFailure(
            status: .unusableStore,
            sentence: "This user may not read and write the remote \(report.url), or it is full.",
            remedy: "Look at what `pfx remote check` names.")
    }

    /// One phase, in the store's own folder.
    private func run(_ phase: BenchPhase) throws {
        guard let pagesFile else { throw ValidationError("--phase needs --pages-file.") }
        let work = try work(folder: store, pagesFile: pagesFile)
        switch phase {
        case .pages: try GeneratedPages(work.layout).write(work.pageCount, to: pagesFile)
        case .fill: try Output.write(JSONOutput.text(work.fill()))
        case .restart: try Output.write(JSONOutput.text(work.restart()))
        case .remote: try Output.write(JSONOutput.text(work.measure(remote: remote ?? "")))
        case .loadWarm, .loadCold: try Output.write(JSONOutput.text(work.load(phase, at: startAt)))
        }
    }

    private func work(folder: String, pagesFile: String) throws -> BenchWork {
        let layout = try dimensions.layout(element.element, pageSize: pageSize)
        let pages = (tokens + pageSize - 1) / pageSize
        return BenchWork(
            folder: folder, pagesFile: pagesFile, layout: layout, pageCount: pages,
            sequencePages: min(sequencePages, pages, Limits.tokens / pageSize), codec: codec)
    }

    private var dimensions: KVDimensions {
        guard let layers, let kvHeads, let headDimension else { return modelShape.dimensions }
        return KVDimensions(layers: layers, kvHeads: kvHeads, key: headDimension, value: headDimension)
    }

    private var modelName: String {
        guard let layers, let kvHeads, let headDimension else { return modelShape.rawValue }
        return "\(layers) layers of \(kvHeads) heads of \(headDimension)"
    }

    /// The arguments that say which pages and how they are encoded.
    private var childArguments: [String] {
        var arguments = [
            "--model-shape", modelShape.rawValue, "--element", element.rawValue, "--codec", codec.rawValue,
            "--page-size", "\(pageSize)", "--tokens", "\(tokens)",
        ]
        if let remote { arguments += ["--remote", remote] }
        if sequencePages < Int.max { arguments += ["--sequence-pages", "\(sequencePages)"] }
        if let layers, let kvHeads, let headDimension {
            arguments += ["--layers", "\(layers)", "--kv-heads", "\(kvHeads)", "--head-dimension", "\(headDimension)"]
        }
        return arguments
    }

    private func write(_ text: String, to path: String) throws {
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        } catch {
            throw CommandFailure(
                status: .noRoom, sentence: "The file \(path) cannot be written.",
                remedy: "Check its folder and the disk.")
        }
    }
}
