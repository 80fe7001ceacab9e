// `pfx ls`: the pages of a store.

internal import ArgumentParser
internal import PrefixStore

/// `pfx ls <folder>`.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List pages.",
        discussion: """
            One line per page: the first digits of its prefix hash and of its space, the position of its first token, \
            its number of tokens, its size on disk, how many times smaller that is than the raw page, hits since it \
            was stored, time since its last use, the number of pages that follow it, and notes: tail, block, pinned, \
            side states, expiry.

            EXAMPLES:
              pfx ls kv --order size --limit 10
              pfx ls kv --space 3fa9 --json
            """)

    @OptionGroup var store: StoreArguments

    @Option(help: ArgumentHelp("Only the space whose root begins with these digits.", valueName: "digits"))
    var space: String?

    @Option(
        help: ArgumentHelp("Order of the list: recent (last used first), size, hits or position.", valueName: "order"))
    var order = PageOrder.recent

    @Option(help: ArgumentHelp("Most pages to list.", valueName: "count"))
    var limit = 50

    func validate() throws {
        guard (1...1_000_000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000000.") }
    }

    func run() throws {
        let pages = try store.withStore { store in
            let root = try space.map { try store.spaceRoot($0) }
            return try store.pages(in: root, order: order, limit: limit)
        }
        try store.print(ListJSON(pages: pages.map(PageJSON.init)), or: Self.text(pages, limit: limit))
    }

    static func text(_ pages: [PageInfo], limit: Int) -> String {
        guard !pages.isEmpty else { return "No pages.\n" }
        var table = TextTable(
            ("PAGE", .left), ("SPACE", .left), ("FIRST", .right), ("TOKENS", .right), ("SIZE", .right),
            ("RATIO", .right), ("HITS", .right), ("USED", .right), ("NEXT", .right), ("NOTES", .left))
        for page in pages {
            table.add(
                page.hash.short, page.root.short, "\(page.firstToken)", "\(page.tokenCount)", "\(page.slotBytes)",
                Render.ratio(page.rawBytes, page.slotBytes), "\(page.hits)", Render.age(page.lastUse),
                "\(page.childCount)", page.notes.joined(separator: ", "))
        }
        let more = pages.count == limit ? "The first \(limit); --limit shows more.\n" : ""
        return table.text + more
    }
}

private struct ListJSON: Encodable {
    var pages: [PageJSON]
}

extension PageInfo {
    /// Notes about the page, as people read them.
    var notes: [String] {
        var notes: [String] = []
        if isTail { notes.append("tail") }
        if isBlock { notes.append("block") }
        if pins > 0 { notes.append(pins == 1 ? "pinned" : "pinned \(pins) times") }
        if let expiry { notes.append("expires \(Render.time(expiry))") }
        if !sideStates.isEmpty { notes.append(Render.count(sideStates.count, "side state")) }
        return notes
    }
}

/// A page in JSON. Sizes are bytes.
struct PageJSON: Encodable {
    var hash, parent, root, createdAt, lastUse: String
    var expiry: String?
    var firstToken, tokenCount, hits, pins, childCount: Int
    var isTail, isBlock: Bool
    var rawBytes, encodedBytes, slotBytes: UInt64
    var branches: Int
    var sideStates: [String]

    init(_ page: PageInfo) {
        hash = page.hash.description
        parent = page.parent.description
        root = page.root.description
        createdAt = Render.isoTime(page.createdAt)
        lastUse = Render.isoTime(page.lastUse)
        expiry = page.expiry.map(Render.isoTime)
        firstToken = page.firstToken
        tokenCount = page.tokenCount
        hits = page.hits
        pins = page.pins
        childCount = page.childCount
        isTail = page.isTail
        isBlock = page.isBlock
        rawBytes = page.rawBytes.value
        encodedBytes = page.encodedBytes.value
        slotBytes = page.slotBytes.value
        branches = page.branches
        sideStates = page.sideStates
    }
}
