// `pfx remote check`, `pfx push`, `pfx pull`: what people do with a remote by hand.

internal import ArgumentParser
internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// `pfx remote <command>`.
struct Remote: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Look at a remote.", subcommands: [Check.self])

    /// `pfx remote check <url>`.
    struct Check: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Try everything that a store does with a remote, and say what to change.",
            discussion: """
                Reaches the servers, asks 100 questions, puts and fetches 8 values of 1 MiB, which are gone after ten \
                seconds. The password of Redis comes from REDISCLI_AUTH, or from the file that password_file in the \
                URL names; credentials of S3 come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or from \
                ~/.aws/credentials.

                EXAMPLES:
                  pfx remote check redis://cache:6379
                  pfx remote check 's3://bucket/kv?endpoint=https://store:9000'
                  pfx remote check 'rediss://store@cache:6380?ca=ca.pem' --json | jq .advice
                """)

        @Argument(help: "The remote, such as redis://host:6379 or s3://bucket/prefix.")
        var url: String

        @Flag(help: "Print one JSON object.")
        var json = false

        func run() throws {
            // Several in one text are several to check.
            let urls = url.split(whereSeparator: \.isWhitespace).map(String.init)
            let reports = try (urls.isEmpty ? [url] : urls).map { try RemoteReport(checking: RemoteOptions(url: $0)) }
            guard json else { return try Output.write(reports.map(Self.text).joined(separator: "\n")) }
            try Output.write(reports.count == 1 ? JSONOutput.text(reports[0]) : JSONOutput.text(reports))
        }

        private static func text(_ report: RemoteReport) -> String {
            var table = TextTable(("", .left), ("", .left))
            table.add("remote", report.url)
            if let version = report.version { table.add("server", version) }
            if report.primaries > 0 {
                table.add("servers", "\(report.primaries) primary, \(report.replicas) replicas")
            }
            let rights = report.isWritable ? "reads and writes" : report.isFull ? "reads; it is full" : "reads only"
            table.add("rights", rights)
            let missing = report.rights.filter { !$0.isGranted }
            if !missing.isEmpty {
                table.add(
                    "missing", missing.map { "\($0.name) (\($0.use)): \($0.refusal ?? "")" }.joined(separator: "; "))
            }
            table.add(
                "questions",
                String(
                    format: "%.2f ms median, %.2f ms at most", 1e3 * report.questionSeconds,
                    1e3 * report.longestQuestionSeconds))
            if report.isWritable {
                table.add(
                    "1 MiB values",
                    "\(ByteCount(UInt64(report.putRate)))/s put, \(ByteCount(UInt64(report.fetchRate)))/s fetched")
            }
            if let limit = report.memoryLimit {
                let policy = report.evictionPolicy ?? "unknown policy"
                table.add("memory", limit == 0 ? "no limit, \(policy)" : "\(ByteCount(limit)), \(policy)")
            }
            for (place, sentence) in report.advice.enumerated() { table.add(place == 0 ? "advice" : "", sentence) }
            if report.advice.isEmpty { table.add("advice", "none: it is ready") }
            return table.text
        }
    }
}

/// The remote and the part of a space that a command moves.
struct TransferArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The remote, such as redis://host:6379 or s3://bucket/prefix.", valueName: "url"))
    var remote: String

    @Option(help: ArgumentHelp("Root of the space, its first digits or all.", valueName: "root"))
    var space: String

    @Option(help: ArgumentHelp("Only the pages on the way to this one, and behind it.", valueName: "hash"))
    var under: String?

    @Option(
        help: ArgumentHelp(
            "Only what the prompts of this file begin with: lines of JSON, or one text, as `pfx warm` takes them; "
                + "repeatable; - is standard input.", valueName: "file"))
    var prompts: [String] = []

    @Option(
        help: ArgumentHelp("The model whose tokenizer reads --prompts; not needed for token ids.", valueName: "folder"))
    var model: String?

    func validate() throws {
        guard model == nil || !prompts.isEmpty else { throw ValidationError("--model reads --prompts: give both.") }
    }

    /// What of the space is wanted.
    ///
    /// - Parameter hash: what a prefix of a hash, or a whole one, stands for.
    func choice(_ hash: (String) throws -> PrefixHash) throws -> TransferChoice {
        try TransferChoice(under: under.map(hash), prompts: prompts.isEmpty ? nil : readPrompts())
    }

    /// The token ids of all prompts. One that cannot be read ends the command: what is missing would not be noticed.
    private func readPrompts() throws -> [[TokenID]] {
        let given = try model.map { try TokenizerChoice(of: Checkpoint(folder: $0)) }
        let tokenizer = given ?? .unavailable(.missingFile(path: "--model"))
        var input = WarmInput(PromptEncoder(tokenizer, addsSpecialTokens: true), isStrict: false)
        var all: [[TokenID]] = []
        for path in prompts {
            try input.forEach(of: path) { name, tokens in
                do throws(InputError) { all.append(try tokens.get()) } catch {
                    throw CommandFailure(
                        status: .badInput, sentence: "\(name): \(error.sentence)",
                        remedy: "Correct the line; texts need --model, token ids do not.")
                }
            }
        }
        return all
    }

    /// What was moved, for people.
    static func text(_ done: RemoteTransfer) -> String {
        var table = TextTable(("", .left), ("", .left))
        table.add("pages", Render.count(done.pages))
        table.add("moved", "\(Render.count(done.moved)), \(done.movedBytes)")
        table.add("there already", Render.count(done.alreadyThere))
        func add(_ name: String, _ pages: Int, _ why: String) {
            if pages > 0 { table.add(name, "\(Render.count(pages)): \(why)") }
        }
        add("replaced", done.replaced, "they were damaged there; counted as moved too")
        add("covered", done.covered, "a longer page has their tokens")
        add("damaged", done.damaged, "not to be trusted, or gone; an engine that computes them puts them again")
        add("orphaned", done.orphaned, "a page before them is missing")
        add("without room", done.withoutRoom, "raise the quota, or the memory of the remote")
        return table.text
    }

    /// Prints what was moved.
    ///
    /// - Parameter none: what to say when no page was found.
    /// - Throws: the exit status 1 when a page is not where it should be, or there was none.
    static func report(_ done: RemoteTransfer, _ store: StoreArguments, none: String) throws {
        try store.print(done, or: text(done))
        if done.pages == 0 { Output.say("pfx: \(none)") }
        if done.missing > 0 || done.pages == 0 { throw ExitStatus.failure.code }
    }
}

/// `pfx push <folder>`.
struct Push: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Put pages of a store on a remote.",
        discussion: """
            What is there already costs a question: after an interruption, give the command again. Sealed pages stay \
            sealed. The exit status is 1 when a page could not be put.

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
                store.spaceRoot(transfer.space), to: RemoteOptions(url: transfer.remote),
                transfer.choice(store.pageHash), isPinned: pinned, verifies: verify)
        }
        try TransferArguments.report(
            done, store,
            none: "There is nothing to push: no page that was asked for is \(pinned ? "pinned" : "stored").")
    }
}

/// `pfx pull <folder>`.
struct Pull: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Take pages of a space from a remote into a store.",
        discussion: """
            What is in the store already is left alone: after an interruption, give the command again. A space that \
            the store does not know needs its whole root, all 64 digits, as `pfx spaces --json` prints it where it is \
            stored; then there need not be a store yet. The exit status is 1 when a page could not be taken.

            EXAMPLES:
              pfx pull kv --remote redis://cache:6379 --space 1669
              pfx pull kv --remote redis://cache:6379 --space 1669 --prompts list.jsonl --model llama
            """)

    @OptionGroup var store: StoreArguments
    @OptionGroup var transfer: TransferArguments

    func run() throws {
        // A host that joins has no store. What only names a space of this store cannot make one.
        if FileStatus(path: store.folder + "/data.mdb") == nil, PrefixHash(hex: transfer.space) != nil {
            try Store(at: store.folder, options: StoreOptions(sealingKey: store.sealing.key())).close()
        }
        let done = try store.withStore { store in
            try store.pull(
                Self.root(transfer.space, store), from: RemoteOptions(url: transfer.remote),
                transfer.choice { try Self.hash($0, store) })
        }
        try TransferArguments.report(
            done, store,
            none: "The remote has no page of the space that this store can read. Sealed pages can be read only in the "
                + "folder that sealed them, or in a copy of it.")
    }

    /// A whole root or hash may be one that only the remote knows.
    private static func root(_ digits: String, _ store: StoreInspector) throws -> PrefixHash {
        try PrefixHash(hex: digits) ?? store.spaceRoot(digits)
    }

    private static func hash(_ digits: String, _ store: StoreInspector) throws -> PrefixHash {
        try PrefixHash(hex: digits) ?? store.pageHash(digits)
    }
}
