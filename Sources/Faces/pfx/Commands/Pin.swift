// `pfx pin`: keeps a prefix, whatever the quota asks.

internal import ArgumentParser
internal import PrefixStore

/// `pfx pin <folder> <hash>`.
struct Pin: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Keep a prefix: a page and all before it.",
        discussion: "Pins are counted and stored: a page is evicted only after as many `pfx unpin` as `pfx pin`.")

    @OptionGroup var store: StoreArguments

    @Argument(help: "The last page's prefix hash, or its first digits.")
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
