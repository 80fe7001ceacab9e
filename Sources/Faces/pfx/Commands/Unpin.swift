// `pfx unpin`: lets eviction take a pinned prefix again.

internal import ArgumentParser
internal import PrefixStore

/// `pfx unpin <folder> <hash>`.
struct Unpin: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove one pin from a page and from all pages before it.",
        discussion: """
            Pages that have no pin stay as they are.

            EXAMPLES:
              pfx unpin kv 3fa9
            """)

    @OptionGroup var store: StoreArguments

    @Argument(help: "Prefix hash of the last page, or its first digits.")
    var hash: String

    func run() throws {
        let (page, pages) = try store.withStore { store in
            let page = try store.pageHash(hash)
            return (page, try store.unpin(page))
        }
        try store.print(
            PinJSON(hash: page.description, pages: pages),
            or: "Removed a pin from \(Render.count(pages, "page")), up to \(page.short).\n")
    }
}
