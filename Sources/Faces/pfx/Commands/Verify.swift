// `pfx verify`: whether everything in a store is sound.

internal import ArgumentParser
internal import Foundation
internal import PrefixStore

/// `pfx verify <folder>`: exit status 0 when everything is sound, 2 when something is damaged.
struct Verify: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check every byte of a store.",
        discussion: """
            Only reads, and can run while engines use the store. Recomputes every prefix hash, decodes every frame, \
            and compares every table with the others. The exit status is 2 if something is damaged. Leftovers are \
            listed but are not damage: they use a few bytes and are never served.

            EXAMPLES:
              pfx verify kv
            """)

    @OptionGroup var store: StoreArguments

    func run() throws {
        let line = ProgressLine()
        let report = try store.withStore { store in
            try store.verify { progress in
                line.show(
                    "\(Render.count(progress.pages)) of \(Render.count(progress.totalPages, "page")), "
                        + "\(progress.encodedBytes)")
            }
        }
        line.clear()
        try store.print(report, or: Self.text(report))
        if !report.isSound { throw ExitStatus.damage.code }
    }

    static func text(_ report: VerifyReport) -> String {
        var text =
            report.isSound
            ? "Sound: " : "DAMAGED: \(Render.count(report.damageCount, "finding")). Checked "
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
