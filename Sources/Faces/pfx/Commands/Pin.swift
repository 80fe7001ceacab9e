// `pfx pin`: protects a prefix from eviction.

internal import ArgumentParser
internal import PrefixStore

/// `pfx pin <folder> <hash>`.
struct Pin: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Protect a page, and all pages before it, from eviction.",
        discussion: """
            Pins are counted and stored: a page pinned twice must be unpinned twice before it can be evicted. A name \
            given with --name stands for the prefix in every command that takes a hash, until `pfx unpin --name` \
            removes it. If another prefix had it, it is moved. A name alone keeps nothing.

            EXAMPLES:
              pfx tree kv
              pfx pin kv 3fa9
              pfx pin kv 3fa9 --name librarian
            """)

    @OptionGroup var store: StoreArguments

    @Argument(help: "Prefix hash of the last page, its first digits, or its name.")
    var hash: String

    @Option(help: "Name to give to the prefix: 1 to 64 bytes.")
    var name: String?

    func run() throws {
        let (page, pages) = try store.withStore { store in
            let page = try store.pageHash(hash)
            return (page, try store.pin(page, name: name))
        }
        let named = name.map { " It is now called \(Reveal.escaped($0))." } ?? ""
        try store.print(
            PinJSON(hash: page.description, pages: pages, name: name),
            or: "Pinned \(Render.count(pages, "page")), up to \(page.short).\(named)\n")
    }
}

/// The JSON of `pfx pin` and `pfx unpin`.
struct PinJSON: Encodable {
    var hash: String
    var pages: Int
    /// The name that was given or removed.
    var name: String?
}
