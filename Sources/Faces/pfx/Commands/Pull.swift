// `pfx pull`: what other hosts have put on a remote, for this store.

internal import ArgumentParser
internal import PrefixStore

/// `pfx pull <folder>`.
struct Pull: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take pages of a space from a remote into a store.",
        discussion: """
            What is in the store already is left alone: after an interruption, give the command again. A space that \
            the store does not know needs its whole root, all 64 digits, as `pfx spaces --json` prints it where it is \
            stored; then there need not be a store yet: it is made when the first pages have come. The exit status is 1 \
            when a page is not there afterwards, or a prompt of --prompts is not there whole, and 69 when a remote fails.

            EXAMPLES:
              pfx pull kv --remote redis://cache:6379 --space 1669
              pfx pull kv --remote redis://cache:6379 --space 1669 --prompts list.jsonl --model llama
            """)

    @OptionGroup var store: StoreArguments
    @OptionGroup var transfer: TransferArguments

    func run() throws {
        let remote = try RemoteOptions(named: transfer.remote)
        let done: RemoteTransfer
        // A host that joins has no store. What only names a space of this store cannot make one.
        if FileStatus(path: store.folder + "/data.mdb") == nil {
            guard let root = PrefixHash(hex: transfer.space) else { throw Self.shortRoot(transfer.space, store.folder) }
            done = try StoreInspector.pull(
                root, from: remote, transfer.choice(Self.wholeHash), intoNewStoreAt: store.folder,
                sealingKey: store.sealing.key())
        } else {
            done = try store.withStore { store in
                try store.pull(
                    Self.root(transfer.space, store), from: remote, transfer.choice { try Self.hash($0, store) })
            }
        }
        try TransferArguments.report(done, store, none: Self.none(done))
    }

    private static func shortRoot(_ digits: String, _ folder: String) -> CommandFailure {
        CommandFailure(
            status: .usage,
            sentence: "There is no store in \(folder) yet that knows a space '\(Reveal.escaped(digits))'.",
            remedy: "Give its whole root, all 64 digits, as `pfx spaces --json` prints it where it is stored.")
    }

    private static func none(_ done: RemoteTransfer) -> String {
        if done.prompts?.count == 0 { return "There is nothing to pull: the list of prompts is empty." }
        guard done.offered == 0 else {
            return "There is nothing to pull: no prompt begins as a page of the space does."
        }
        guard done.otherwiseSealed > 0 else {
            return "The remote has no page of the space: push it from a host that has stored it."
        }
        return
            "The remote has no page of the space that this store can read. Sealed pages can be read only in the folder "
            + "that sealed them, or in a copy of it."
    }

    /// A whole root or hash may be one that only the remote knows.
    private static func root(_ digits: String, _ store: StoreInspector) throws -> PrefixHash {
        try PrefixHash(hex: digits) ?? store.spaceRoot(digits)
    }

    private static func hash(_ digits: String, _ store: StoreInspector) throws -> PrefixHash {
        try PrefixHash(hex: digits) ?? store.pageHash(digits)
    }

    private static func wholeHash(_ digits: String) throws -> PrefixHash {
        guard let hash = PrefixHash(hex: digits) else {
            throw CommandFailure(
                status: .usage, sentence: "There is no store yet that knows a page '\(Reveal.escaped(digits))'.",
                remedy: "Give all 64 digits of its hash.")
        }
        return hash
    }
}
