// What `pfx push` and `pfx pull` have in common: a remote, a part of a space, and what became of it.

internal import ArgumentParser
internal import LlamaEngine
internal import PrefixStore

extension RemoteOptions {
    /// A remote that a command names.
    ///
    /// - Throws: a failure of the command when the URL names a file that is not there.
    init(named url: String) throws {
        self.init(url: url)
        for file in namedFiles { try CommandFailure.require(file: file) }
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

    @Flag(help: "Do not put the tokenizer's special tokens, such as a BOS token, around the texts of --prompts.")
    var noSpecialTokens = false

    func validate() throws {
        guard model == nil || !prompts.isEmpty else { throw ValidationError("--model reads --prompts: give both.") }
        guard !noSpecialTokens || model != nil else {
            throw ValidationError("--no-special-tokens says how --model reads texts: give both.")
        }
    }

    /// What of the space is wanted.
    ///
    /// - Parameter hash: what a prefix of a hash, or a whole one, stands for.
    func choice(_ hash: (String) throws -> PrefixHash) throws -> TransferChoice {
        var choice = try TransferChoice(under: under.map(hash))
        if !prompts.isEmpty { (choice.prompts, choice.tokenizer) = try readPrompts() }
        return choice
    }

    /// The token ids of all prompts. One that cannot be read ends the command: what is missing would not be noticed.
    private func readPrompts() throws -> ([[TokenID]], PromptTokenizer?) {
        let checkpoint = try model.map { try Checkpoint(folder: $0) }
        let given = try checkpoint.map { try TokenizerChoice(of: $0) }
        let encoder = PromptEncoder(
            given ?? .unavailable(.missingFile(path: "--model")), addsSpecialTokens: !noSpecialTokens)
        var input = WarmInput(encoder, isStrict: false)
        var all: [[TokenID]] = []
        for path in prompts {
            try input.forEach(of: path) { name, tokens in
                let file = path == "-" ? "standard input" : path
                let place = name == path ? file : "\(file), \(name)"
                do throws(InputError) { all.append(try tokens.get()) } catch {
                    throw failure(place, error, isFile: name == path)
                }
                if let warning = encoder.takeWarning() { Output.say("pfx: \(place): \(warning)") }
            }
        }
        if let ignored = input.ignored.text { Output.say(ignored) }
        guard let checkpoint, encoder.hasEncoded else { return (all, nil) }
        // The engine of this program computes such digests; other engines' digests are of other things.
        return (all, PromptTokenizer(engine: "LlamaEngine/", digest: try checkpoint.tokenizerDigest()))
    }

    private func failure(_ place: String, _ error: InputError, isFile: Bool) -> CommandFailure {
        if error.missingTokenizer != nil, model == nil {
            return CommandFailure(
                status: .badInput, sentence: "\(place) is a text, and there is no tokenizer to read it.",
                remedy: "Give --model; token ids need none.")
        }
        // The second sentence, if there is one, says what to do.
        guard let end = error.sentence.firstRange(of: ". ") else {
            return CommandFailure(
                status: .badInput, sentence: "\(place): \(error.sentence)",
                remedy: isFile ? "Correct the file." : "Correct the line.")
        }
        return CommandFailure(
            status: .badInput, sentence: "\(place): \(error.sentence[..<end.lowerBound]).",
            remedy: String(error.sentence[end.upperBound...]))
    }

    // MARK: What became of it

    /// What was moved, for people.
    static func text(_ done: RemoteTransfer) -> String {
        var table = TextTable(("", .left), ("", .left))
        if let prompts = done.prompts {
            table.add(
                "prompts",
                "\(Render.count(prompts.count)): \(Render.count(prompts.whole)) whole, "
                    + "\(Render.count(prompts.partial)) in part, \(Render.count(prompts.absent)) not at all")
            table.add("tokens", "\(Render.count(prompts.tokensThere)) of \(Render.count(prompts.tokens)) there")
        }
        table.add("pages", Render.count(done.pages))
        table.add("moved", "\(Render.count(done.moved)), \(done.movedBytes)")
        table.add("there already", Render.count(done.alreadyThere))
        func add(_ name: String, _ pages: Int, _ why: String) {
            if pages > 0 { table.add(name, "\(Render.count(pages)): \(why)") }
        }
        add("replaced", done.replaced, "they were damaged there; counted as moved too")
        add("covered", done.covered, "a longer page has their tokens")
        let packs = done.unreadablePacks > 0 ? " (\(Render.count(done.unreadablePacks, "pack")) of unknown pages)" : ""
        add(
            "damaged", done.damaged,
            "not to be trusted, or gone\(packs); an engine that computes them puts them again")
        add("orphaned", done.orphaned, "a page before them is missing")
        add("without room", done.withoutRoom, "raise the quota, or the memory of the remote")
        add("not moved", done.unanswered, "the command failed before")
        add("expired", done.expired, "left alone: their date has passed in the store, or that of a page before them")
        add("evicted", done.evicted, "other pages of the store, to make room")
        return table.text
    }

    /// Prints what was moved.
    ///
    /// - Parameter none: what to say when no page was found.
    /// - Throws: the exit status 69 when a remote has failed, unless all is there without it; 1 when a page or a prompt
    ///   is not where it should be, or there was none.
    static func report(_ done: RemoteTransfer, _ store: StoreArguments, none: String) throws {
        try store.print(done, or: text(done))
        let isDone = done.isComplete && done.pages > 0
        let next =
            isDone
            ? "All that was asked for is there."
            : done.moved > 0 ? "What was moved stays: then give the command again." : "Then give the command again."
        for failure in done.failures { Output.say("pfx: \(failure.sentence) \(failure.remedy) \(next)") }
        guard !isDone else { return }
        // What the folder says goes before what a remote says.
        if let failure = done.failures.first(where: { !$0.isRemote }) { throw failure.error.exitStatus.code }
        if !done.failures.isEmpty { throw ExitStatus.unusableStore.code }
        if done.pages == 0 { Output.say("pfx: \(none)") }
        throw ExitStatus.failure.code
    }
}
