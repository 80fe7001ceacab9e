// `pfx verify`: whether everything in a store is sound.

internal import ArgumentParser
internal import Foundation
internal import PrefixStore

/// `pfx verify <folder>`: exit status 0 when everything is sound, 1 when something could not be looked into, 2 when
/// something is damaged.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check every byte of a store.",
        discussion: """
            Only reads, and can run while engines use the store. Recomputes every prefix hash, decodes every frame, \
            and compares every table with the others. The exit status is 2 if something is damaged, and 1 \
            if nothing is but sealed spaces could not be looked into, because no key or another one was given. \
            Leftovers are listed but are not damage: they use a few bytes and are never served.

            The check runs in a process of its own: a file that ends it, because the disk cannot read a part or \
            somebody cuts it short, is damaged.

            EXAMPLES:
              pfx verify kv
            """)

    @OptionGroup var store: StoreArguments

    @Flag(help: "Check in this process, which damage of some kinds then ends.")
    var inProcess = false

    func run() throws {
        if inProcess {
            ChildRun.endWithParent()
            try check()
            return
        }
        switch try ChildRun.again(with: "--in-process") {
        case .status(0): return
        case .status(let status): throw ExitCode(status)
        case .signal(let signal) where [SIGBUS, SIGSEGV, SIGILL, SIGTRAP, SIGABRT, SIGFPE].contains(signal):
            try store.print(Death(endedBySignal: signal), or: Self.text(endedBy: signal))
            throw ExitStatus.damage.code
        case .signal(let signal): throw ExitCode(128 + signal)
        }
    }

    /// What is printed of a check that did not come to its end.
    private struct Death: Encodable {
        let isSound = false
        let endedBySignal: Int32

        private enum CodingKeys: String, CodingKey { case isSound, endedBySignal }
    }

    private static func text(endedBy signal: Int32) -> String {
        "DAMAGED: the process that checked the store was ended by signal \(signal) "
            + "(\(unsafe String(cString: strsignal(signal)))): a part of the file cannot be read.\n"
            + "Check the disk and the system's log. Engines set such a store aside.\n"
    }

    private func check() throws {
        let line = ProgressLine()
        let report = try store.withStore { store in
            try store.verify { progress in
                if inProcess { ChildRun.endWithParent() }
                line.show(
                    "\(Render.count(progress.pages)) of \(Render.count(progress.totalPages, "page")), "
                        + "\(progress.encodedBytes)")
            }
        }
        line.clear()
        try store.print(report, or: Self.text(report))
        if !report.isSound { throw ExitStatus.damage.code }
        if report.unreadCount > 0 { throw ExitStatus.failure.code }
    }

    static func text(_ report: VerifyReport) -> String {
        var text =
            report.isSound
            ? report.unreadCount == 0 ? "Sound: " : "Sound as far as it could be read: "
            : "DAMAGED: \(Render.count(report.damageCount, "finding")). Checked "
        text +=
            "\(Render.count(report.pages, "page")), \(Render.count(report.tails)) of them tails, "
            + "\(report.encodedBytes) decoded to \(report.rawBytes).\n"
        text +=
            "Also \(Render.count(report.edges, "edge")), \(Render.count(report.queueEntries)) in the eviction order, "
            + "\(Render.count(report.sideStates, "side state")), \(Render.count(report.spaces, "space")).\n"
        if !report.comparedCounters { text += "The counters were not compared: writers were active all the time.\n" }
        if report.quarantinedPages > 0 {
            text += "\(Render.count(report.quarantinedPages, "page")) removed earlier because of damage.\n"
        }
        if report.unreadCount > 0 {
            text += "NOT CHECKED: \(Render.count(report.unreadCount)) of spaces, pages and side states: "
            text += "they are sealed. Give their key with --key-file.\n"
        }
        text += findings(report)
        if !report.isSound {
            text += "Damaged pages are never served: an engine that meets one recomputes it and removes it.\n"
        }
        return text
    }

    private static func findings(_ report: VerifyReport) -> String {
        var table = TextTable(("", .left), ("", .left), ("", .left))
        for finding in report.findings {
            table.add(finding.kind.words, finding.hash?.short ?? "store", finding.sentence)
        }
        let hidden = report.findingCount - report.findings.count
        return table.text + (hidden > 0 ? "and \(Render.count(hidden)) more.\n" : "")
    }
}

extension VerifyFinding.Kind {
    /// `damaged record`, from `damagedRecord`.
    var words: String {
        rawValue.reduce(into: "") { words, letter in
            words += letter.isUppercase ? " " + letter.lowercased() : String(letter)
        }
    }
}
