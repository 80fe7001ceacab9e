// `pfx pin`: protects a prefix from eviction.

internal import ArgumentParser
internal import PrefixStore

/// `pfx pin <folder> <hash>`.
struct Pin: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Protect a page, and all pages before it, from eviction.",
        discussion: """
            Pins are counted and stored: a page pinned twice must be unpinned twice before it can be evicted.

            EXAMPLES:
              pfx tree kv
              pfx pin kv 3fa9
            """)

    @OptionGroup var store: StoreArguments

    @Argument(help: "Prefix hash of the last page, or its first digits.")
    var hash: String

    func run() throws {
        let (page, pages) = try store.withStore { store in
            let page = try store.pageHash(hash)
            return (page, try store.pin(page))
        }
        try store.print(
            PinJSON(hash: page.description, pages: pages),
            or: "Pinned \(Render.count(pages, "page")), up to \(page.short).\n")
    }
}

/// The JSON of `pfx pin` and `pfx unpin`.
struct PinJSON: Encodable {
    var hash: String
    var pages: Int
}
