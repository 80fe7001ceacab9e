// `pfx trim`: makes a store smaller.

internal import ArgumentParser
internal import PrefixStore

/// `pfx trim <folder> --to <size>`.
struct Trim: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Evict pages until a store uses no more than a size.",
        discussion: """
            The least valuable pages go first, as under the quota; pinned pages stay. The quota is not changed, and the file \
            keeps its size: what becomes free in it is used again. Ends with status 1 when pins kept the size from being reached.
            """)

    @OptionGroup var store: StoreArguments

    @Option(help: "The size, such as 20GiB.")
    var to: ByteCount

    func run() throws {
        let report = try store.withStore { try $0.trim(to: to) }
        try store.print(TrimJSON(report), or: text(report))
        if !report.isComplete { throw ExitStatus.failure.code }
    }

    private func text(_ report: TrimReport) -> String {
        let done =
            "Evicted \(Render.count(report.pages, "page")), \(report.freedBytes); \(report.usedBytes) are in use.\n"
        return report.isComplete ? done : done + "Not down to \(to): the rest is pinned; see `pfx unpin`.\n"
    }
}

/// The JSON of `pfx trim`. Sizes are bytes.
private struct TrimJSON: Encodable {
    var pages: Int
    var freedBytes, usedBytes: UInt64
    var isComplete: Bool

    init(_ report: TrimReport) {
        pages = report.pages
        freedBytes = report.freedBytes.value
        usedBytes = report.usedBytes.value
        isComplete = report.isComplete
    }
}
