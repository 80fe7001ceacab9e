// `pfx push`: what a store has, for other hosts.

internal import ArgumentParser
internal import PrefixStore

/// `pfx push <folder>`.
struct Push: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put pages of a store on a remote.",
        discussion: """
            What is there already costs a question: after an interruption, give the command again. Sealed pages stay \
            sealed. The exit status is 1 when a page is not there afterwards, or a prompt of --prompts is not there \
            whole, and 69 when the remote fails.

            EXAMPLES:
              pfx push kv --remote redis://cache:6379 --space 1669
              pfx push kv --remote redis://cache:6379 --space 1669 --pinned
              pfx push kv --remote redis://cache:6379 --space 1669 --verify
              pfx push kv --remote redis://cache:6379 --space 1669 --prompts list.jsonl --model llama
            """)

    @OptionGroup var store: StoreArguments
    @OptionGroup var transfer: TransferArguments

    @Flag(help: "Only pinned pages.")
    var pinned = false

    @Flag(help: "Fetch what is there already, and replace what is damaged.")
    var verify = false

    func run() throws {
        let done = try store.withStore { store in
            try store.push(
                store.spaceRoot(transfer.space), to: RemoteOptions(named: transfer.remote),
                transfer.choice(store.pageHash), isPinned: pinned, verifies: verify)
        }
        let asked = transfer.prompts.isEmpty ? "that was asked for" : "that a prompt begins with"
        let none =
            done.prompts?.count == 0
            ? "the list of prompts is empty" : "no page \(asked) is \(pinned ? "pinned" : "stored")"
        try TransferArguments.report(done, store, none: "There is nothing to push: \(none).")
    }
}
