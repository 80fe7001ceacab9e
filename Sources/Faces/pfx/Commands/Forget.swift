// `pfx forget`: removes a space, and makes what is left of it unreadable.

internal import ArgumentParser
internal import PrefixStore

/// `pfx forget <folder> <space>`.
struct Forget: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Forget a space: its pages, its names, and its key if it is sealed.",
        discussion: """
            Removes everything of one model, or of one tenant of it, pinned or not. Of a sealed space the data key is \
            destroyed first, with every copy of it in the file: nobody can read what is left of its pages then. The \
            bytes of a space that is not sealed stay in the file until they are overwritten. No key is needed. If it \
            is interrupted, run it again. docs/security.md says what backups and disks keep.

            EXAMPLES:
              pfx spaces kv
              pfx forget kv 1669318d
            """)

    @OptionGroup var store: StoreArguments

    @Argument(help: "Root of the space, or its first digits.")
    var space: String

    func run() throws {
        let (root, pages) = try store.withStore { store in
            let root = try store.spaceRoot(space)
            return (root, try store.forget(space: root))
        }
        try store.print(
            ForgetJSON(space: root.description, pages: pages),
            or: "Forgot the space \(root.short), \(Render.count(pages, "page")).\n")
    }
}

/// The JSON of `pfx forget`.
private struct ForgetJSON: Encodable {
    var space: String
    var pages: Int
}
