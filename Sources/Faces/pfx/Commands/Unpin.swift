// `pfx unpin`: lets eviction take a pinned prefix again.

internal import ArgumentParser
internal import PrefixStore

/// `pfx unpin <folder> <hash>`.
struct Unpin: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove one pin from a page and from all pages before it.",
        discussion: """
            Pages that have no pin stay as they are. --name also removes a name of the prefix, as `pfx ls --names` \
            lists them, even if its page is gone.

            EXAMPLES:
              pfx unpin kv 3fa9
              pfx unpin kv librarian --name librarian
            """)

    @OptionGroup var store: StoreArguments

    @Argument(help: "Prefix hash of the last page, its first digits, or its name.")
    var hash: String

    @Option(help: "Name to remove.")
    var name: String?

    func run() throws {
        let (page, pages) = try store.withStore { store in
            let page = try store.pageHash(hash)
            return (page, try store.unpin(page, removing: name))
        }
        let named = name.map { " The name \(Reveal.escaped($0)) is removed." } ?? ""
        try store.print(
            PinJSON(hash: page.description, pages: pages, name: name),
            or: "Removed a pin from \(Render.count(pages, "page")), up to \(page.short).\(named)\n")
    }
}
