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
        let (hash, pages) = try store.withStore { store in
            let hash = try store.pageHash(hash)
            return (hash, try store.unpin(hash))
        }
        try store.print(
            PinJSON(hash: hash.description, pages: pages),
            or: "Took a pin off \(Render.count(pages, "page")), up to \(hash.short).\n")
    }
}
