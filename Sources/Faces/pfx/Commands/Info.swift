// `pfx info`: how full a store is, and who uses it.

internal import ArgumentParser
internal import Foundation
internal import PrefixStore

/// `pfx info <folder>`.
struct Info: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show how full a store is, and who uses it.",
        discussion: """
            Only reads. Used bytes count against the quota. Free bytes are inside the file and are used for new pages. \
            Lists the other processes that have the store open, and those that ended without closing it, with their ids.

            EXAMPLES:
              pfx info kv
              pfx info kv --json | jq .used_bytes
              pfx info kv --remote redis://cache:6379
            """)

    @OptionGroup var store: StoreArguments

    @Option(help: ArgumentHelp("Also say how many of the pages this remote has.", valueName: "url"))
    var remote: String?

    /// What is printed as JSON.
    private struct Report: Encodable {
        struct Remote: Encodable {
            let url: String
            let pages: Int
            let missingPages: Int
        }
        let info: StoreInfo
        let remote: Remote?

        enum CodingKeys: CodingKey { case remote }

        func encode(to encoder: any Encoder) throws {
            try info.encode(to: encoder)
            var fields = encoder.container(keyedBy: CodingKeys.self)
            try fields.encodeIfPresent(remote, forKey: .remote)
        }
    }

    func run() throws {
        let (found, there) = try store.withStore { store in
            (try store.info(), try remote.map { try store.countPages(on: RemoteOptions(named: $0)) })
        }
        var info = found
        info.openers = info.others
        let held = there.map { Report.Remote(url: $0.url, pages: $0.there, missingPages: $0.all - $0.there) }
        let line = there.map { "\($0.url): \(Render.count($0.there)) of \(Render.count($0.all, "page"))" }
        try store.print(Report(info: info, remote: held), or: Self.text(info, remote: line))
    }

    static func text(_ info: StoreInfo, remote: String? = nil) -> String {
        var table = TextTable(("", .left), ("", .left))
        table.add("store", info.path)
        table.add("format", "\(info.formatVersion), made \(Render.time(info.createdAt))")
        table.add(
            "used",
            "\(info.usedBytes) of \(info.quotaBytes) "
                + "(\(Render.percent(info.usedBytes.value, of: info.quotaBytes.value)))")
        table.add("", "slots \(info.slotBytes), index \(info.indexBytes)")
        table.add("file", "\(info.fileBytes), \(info.freeBytes) of it free")
        table.add("pages", "\(Render.count(info.pages)), \(Render.count(info.tails)) of them tails")
        table.add("tokens", Render.count(info.tokens))
        table.add(
            "sizes", Render.sizes(raw: info.rawBytes, encoded: info.encodedBytes, slots: info.slotBytes))
        table.add("spaces", Render.count(info.spaces))
        table.add("side states", Render.count(info.sideStates))
        if info.seenPages > 0 { table.add("seen", "\(Render.count(info.seenPages, "page")), counted for hits:N") }
        table.add("pinned", Render.count(info.pinnedPages, "page"))
        table.add("quarantined", Render.count(info.quarantinedPages, "page"))
        table.add("evicted", Render.count(info.evictedPages, "page"))
        let lag = info.oldestReaderLag.map { ", the oldest \(Render.count($0, "write")) behind" } ?? ""
        table.add("readers", "\(info.readers) of \(info.readerSlots)\(lag)")
        for (index, opener) in info.openers.enumerated() {
            table.add(index == 0 ? "opened by" : "", opener.text)
        }
        if info.openers.isEmpty { table.add("opened by", "no other process") }
        table.add("writes", Render.count(info.generation))
        table.add("libraries", "LMDB \(info.lmdbVersion), zstd \(info.zstdVersion)")
        if let remote { table.add("remote", remote) }
        return table.text
    }
}

extension StoreInfo {
    /// The openers without this process itself.
    fileprivate var others: [OpenerInfo] { openers.filter { $0.processID != Int(getpid()) || !$0.isAlive } }
}

extension OpenerInfo {
    /// One line for people. A program chooses its own name, which must not move a terminal's cursor.
    fileprivate var text: String {
        let end = isAlive ? "" : ", ended without closing"
        return "process \(processID), \(Reveal.escaped(program)), \(role), since \(Render.time(openedAt))\(end)"
    }
}
