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
            """)

    @OptionGroup var store: StoreArguments

    func run() throws {
        let info = try store.withStore { try $0.info() }
        try store.print(InfoJSON(info), or: Self.text(info))
    }

    static func text(_ info: StoreInfo) -> String {
        var table = TextTable(("", .left), ("", .left))
        table.add("store", info.path)
        table.add("format", "\(info.formatVersion), made \(Render.time(info.createdAt))")
        table.add(
            "used",
            "\(info.usedBytes) of \(info.quota) (\(Render.percent(info.usedBytes.value, of: info.quota.value)))")
        table.add("", "pages \(info.slotBytes), index \(info.indexBytes)")
        table.add("file", "\(info.fileBytes), \(info.freeBytes) of it free")
        table.add("pages", "\(Render.count(info.pages)), \(Render.count(info.tails)) of them tails")
        table.add("tokens", Render.count(info.tokens))
        table.add(
            "on disk",
            "\(info.slotBytes) for \(info.rawBytes) of pages, "
                + "\(Render.comparison(info.rawBytes, info.slotBytes)) ("
                + "\(info.encodedBytes) before slots are rounded up)")
        table.add("spaces", Render.count(info.spaces))
        table.add("side states", Render.count(info.sideStates))
        table.add("pinned", Render.count(info.pinnedPages, "page"))
        table.add("quarantined", Render.count(info.quarantinedPages, "page"))
        table.add("evicted", Render.count(info.evictedPages, "page"))
        let lag = info.oldestReaderLag.map { ", the oldest \(Render.count($0, "write")) behind" } ?? ""
        table.add("readers", "\(info.readers) of \(info.readerSlots)\(lag)")
        for (index, opener) in info.others.enumerated() {
            table.add(index == 0 ? "opened by" : "", opener.text)
        }
        if info.others.isEmpty { table.add("opened by", "no other process") }
        table.add("writes", Render.count(info.generation))
        table.add("libraries", "LMDB \(info.lmdbVersion), zstd \(info.zstdVersion)")
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
        return "process \(processID), \(Reveal.escaped(program)), \(roleName), since \(Render.time(openedAt))\(end)"
    }

    fileprivate var roleName: String {
        switch role {
        case .engine: "engine"
        case .tool: "tool"
        }
    }
}

/// The JSON of `pfx info`. Sizes are bytes.
private struct InfoJSON: Encodable {
    struct Opener: Encodable {
        var processId: Int
        var program, role, openedAt: String
        var isAlive: Bool

        init(_ opener: OpenerInfo) {
            processId = opener.processID
            program = opener.program
            role = opener.roleName
            openedAt = Render.isoTime(opener.openedAt)
            isAlive = opener.isAlive
        }
    }

    var openers: [Opener]
    var path, createdAt, lmdbVersion, zstdVersion: String
    var formatVersion, pages, tails, tokens, spaces, sideStates, pinnedPages, quarantinedPages, evictedPages: Int
    var generation, readers, readerSlots: Int
    var oldestReaderLag: Int?
    var quotaBytes, usedBytes, slotBytes, indexBytes, encodedBytes, rawBytes, fileBytes, freeBytes, mapBytes: UInt64

    init(_ info: StoreInfo) {
        openers = info.others.map(Opener.init)
        path = info.path
        createdAt = Render.isoTime(info.createdAt)
        lmdbVersion = info.lmdbVersion
        zstdVersion = info.zstdVersion
        formatVersion = info.formatVersion
        pages = info.pages
        tails = info.tails
        tokens = info.tokens
        spaces = info.spaces
        sideStates = info.sideStates
        pinnedPages = info.pinnedPages
        quarantinedPages = info.quarantinedPages
        evictedPages = info.evictedPages
        generation = info.generation
        readers = info.readers
        readerSlots = info.readerSlots
        oldestReaderLag = info.oldestReaderLag
        quotaBytes = info.quota.value
        usedBytes = info.usedBytes.value
        slotBytes = info.slotBytes.value
        indexBytes = info.indexBytes.value
        encodedBytes = info.encodedBytes.value
        rawBytes = info.rawBytes.value
        fileBytes = info.fileBytes.value
        freeBytes = info.freeBytes.value
        mapBytes = info.mapBytes.value
    }
}
