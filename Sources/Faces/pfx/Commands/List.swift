// `pfx ls`: the pages of a store.

internal import ArgumentParser
internal import PrefixStore

/// `pfx ls <folder>`.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "List pages.",
        discussion: """
            One line per page: the first digits of its prefix hash and of its space, the position of its first token \
            (for a block, how many blocks come before it), its number of tokens, its slot on disk, how many times smaller that is than the raw page, hits since it \
            was stored, time since its last use, the number of pages that follow it, and notes: tail, block, pinned, \
            side states, expiry.

            With --names: the names that `pfx pin --name` has given to prefixes, with the last page of each.

            EXAMPLES:
              pfx ls kv --order size --limit 10
              pfx ls kv --space 3fa9 --json
              pfx ls kv --names
            """)

    @OptionGroup var store: StoreArguments

    @Option(help: ArgumentHelp("Only the space whose root begins with these digits.", valueName: "digits"))
    var space: String?

    @Option(
        help: ArgumentHelp("Order of the list: recent (last used first), size, hits or position.", valueName: "order"))
    var order = PageOrder.recent

    @Option(help: ArgumentHelp("Most pages to list.", valueName: "count"))
    var limit = 50

    @Flag(help: "List the names of prefixes, and no pages.")
    var names = false

    func validate() throws {
        guard !names || space == nil else { throw ValidationError("--names lists the names of all spaces.") }
        guard (1...1_000_000).contains(limit) else { throw ValidationError("--limit must be 1 to 1000000.") }
    }

    func run() throws {
        if names {
            let names = try store.withStore { try $0.names() }
            return try store.print(NamesJSON(names: names), or: Self.text(names))
        }
        let pages = try store.withStore { store in
            let root = try space.map { try store.spaceRoot($0) }
            return try store.pages(in: root, order: order, limit: limit)
        }
        try store.print(ListJSON(pages: pages), or: Self.text(pages, limit: limit))
    }

    static func text(_ pages: [PageInfo], limit: Int) -> String {
        guard !pages.isEmpty else { return "No pages.\n" }
        var table = TextTable(
            ("PAGE", .left), ("SPACE", .left), ("FIRST", .right), ("TOKENS", .right), ("SLOT", .right),
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

/// The JSON of `pfx ls`.
private struct ListJSON: Encodable {
    var pages: [PageInfo]
}

extension List {
    static func text(_ names: [NamedPrefix]) -> String {
        guard !names.isEmpty else { return "No names.\n" }
        var table = TextTable(("NAME", .left), ("PAGE", .left), ("SPACE", .left), ("GIVEN", .right), ("NOTES", .left))
        for named in names {
            table.add(
                Reveal.escaped(named.name), named.hash.short, named.root.short,
                Render.age(named.createdAt), named.isStored ? "" : "its page is gone")
        }
        return table.text
    }
}

/// The JSON of `pfx ls --names`.
private struct NamesJSON: Encodable {
    var names: [NamedPrefix]
}

extension PageInfo {
    /// What people call it.
    var noun: String { isBlock ? "block" : "page" }

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
