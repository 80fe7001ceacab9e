// `pfx unpin`: gives a pinned prefix back to eviction.

internal import ArgumentParser
internal import PrefixStore

/// `pfx unpin <folder> <hash>`.
struct Unpin: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take one pin off a page and all before it.",
        discussion: "Pages without pins stay without.")

    @OptionGroup var store: StoreArguments

    @Argument(help: "The last page's prefix hash, or its first digits.")
    var hash: String

    func run() throws {
        let (page, pages) = try store.withStore { store in
            let page = try store.pageHash(hash)
            return (page, try store.unpin(page))
        }
        try store.print(
            PinJSON(hash: page.description, pages: pages),
            or: "Took a pin off \(Render.count(pages, "page")), up to \(page.short).\n")
    }
}
