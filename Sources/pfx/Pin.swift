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
        let (hash, pages) = try store.withStore { store in
            let hash = try store.pageHash(hash)
            return (hash, try store.pin(hash))
        }
        try store.print(
            PinJSON(hash: hash.description, pages: pages),
            or: "Pinned \(Render.count(pages, "page")), up to \(hash.short).\n")
    }
}

/// The JSON of `pfx pin` and `pfx unpin`.
struct PinJSON: Encodable {
    var hash: String
    var pages: Int
}
