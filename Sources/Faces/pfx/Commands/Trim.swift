// `pfx trim`: makes a store smaller.

internal import ArgumentParser
internal import PrefixStore

/// `pfx trim <folder> --to <size>`.
struct Trim: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Evict pages until the store uses at most the given size.",
        discussion: """
            Pages that are least likely to be used again are evicted first. Pinned pages stay. The quota does not \
            change. The file keeps its size: freed space inside it is used for new pages. The exit status is 1 when \
            pinned pages keep the store above the size. While --dry-run counts, engines that write to the store wait.

            EXAMPLES:
              pfx trim kv --to 10GiB
              pfx trim kv --to 50% --dry-run
            """)

    @OptionGroup var store: StoreArguments

    @Option(
        help: ArgumentHelp("Size to trim to, such as 20GiB, or a share of the quota, such as 50%.", valueName: "size"),
        transform: TrimTarget.parse)
    var to: TrimTarget

    @Flag(help: "Print what would be evicted, and evict nothing.")
    var dryRun = false

    func run() throws {
        let (report, target) = try store.withStore { store in
            let target = to.bytes(of: try store.info().quotaBytes)
            return (try store.trim(to: target, dryRun: dryRun), target)
        }
        try store.print(report, or: text(report, target))
        if !report.isComplete { throw ExitStatus.failure.code }
    }

    private func text(_ report: TrimReport, _ target: ByteCount) -> String {
        let what = "\(Render.count(report.pages, "page")), \(report.freedBytes)"
        let done =
            dryRun
            ? "Would evict \(what); \(report.usedBytes) would stay in use.\n"
            : "Evicted \(what); \(report.usedBytes) in use.\n"
        if report.isComplete { return done }
        return done + "This is still more than \(target), because the rest is pinned; see `pfx unpin`.\n"
    }
}
