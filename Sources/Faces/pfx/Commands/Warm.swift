// `pfx warm`: stores prefixes before a request asks for them.

internal import ArgumentParser
internal import LlamaEngine
internal import PrefixStore

/// `pfx warm --model <folder> --store <folder> --input <file>`.
struct Warm: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compute prefixes and store them; generate nothing.",
        discussion: """
            An input whose name ends in .jsonl, and standard input, hold one JSON object per line, with "prompt" or \
            "tokens", and optionally "id" and "add_special_tokens". Any other input is one prefix: its whole text. \
            What is already stored is not computed again. A prefix that cannot be used is reported, the others still \
            run, and the exit status is 1.

            EXAMPLES:
              pfx warm --model llama --store kv --input handbook.txt --pin
              pfx warm --model llama --store kv --input prefixes.jsonl --expire 7d
            """)

    @Option(help: ArgumentHelp("File of prefixes, repeatable; - is standard input.", valueName: "file"))
    var input: [String]

    @Flag(help: "Keep the prefixes on disk, whatever the quota, until `pfx unpin`.")
    var pin = false

    @Option(
        help: ArgumentHelp(
            "Let the end of each prefix, and all that follows it, expire after this time: 90s, 30m, 12h or 7d.",
            valueName: "time"))
    var expire: DurationArgument?

    @Flag(help: "Refuse lines with unknown fields.")
    var strict = false

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup(title: "Model") var engine: EngineArguments
    @OptionGroup(title: "Store") var cache: CacheArguments

    func validate() throws {
        guard cache.store != nil else { throw ValidationError("Give --store <folder>.") }
        if case .afterHits = cache.writePolicy.policy {
            throw ValidationError("--write-policy hits:N would not store prefixes that no request has used yet.")
        }
    }

    func run() throws {
        Interruption.watch()
        let runtime = try Runtime(engine, parallel: 1, cache: cache)
        let encoder = PromptEncoder(runtime.tokenizer, addsSpecialTokens: !engine.noSpecialTokens)
        var prefixes = WarmInput(encoder, isStrict: strict)
        var report = WarmReport()
        var kept: [(name: String, tokens: [UInt32])] = []
        for path in input where Interruption.signalNumber == nil {
            try prefixes.forEach(of: path) { name, tokens in
                do throws(InputError) {
                    let tokens = try tokens.get()
                    let result = try InputError.explaining { () throws(EngineError) in
                        try runtime.engine.prefill(tokens)
                    }
                    report.add(name, result)
                    if pin || expire != nil { kept.append((name, tokens)) }
                } catch {
                    // If the first prefix already fails for lack of a tokenizer, all others would too. Report it once.
                    if let missing = error.missingTokenizer, report.prefixes.isEmpty { throw missing }
                    refuse(name, error.sentence, &report)
                }
                if let warning = encoder.takeWarning() { Output.say("pfx: \(name): \(warning)") }
            }
        }
        try keep(kept, runtime, &report)
        try runtime.close()
        report.bytesOnDisk = runtime.bytesOnDisk
        report.remote = runtime.remotePart
        try Output.write(json ? JSONOutput.text(report) : report.text)
        if let ignored = prefixes.ignored.text { Output.say(ignored) }
        if let signal = Interruption.signalNumber { throw ExitCode(Interruption.exitStatus(signal)) }
        if !report.refused.isEmpty { throw ExitStatus.failure.code }
    }

    /// Pins the prefixes and gives them their expiry. For that they must be on disk.
    private func keep(
        _ prefixes: [(name: String, tokens: [UInt32])], _ runtime: Runtime, _ report: inout WarmReport
    ) throws {
        guard !prefixes.isEmpty, let store = runtime.store, let space = runtime.engine.space else { return }
        try store.flush()
        for (name, tokens) in prefixes {
            do throws(StoreError) {
                if pin {
                    try space.pin(tokens)
                    report.pinned += 1
                }
                if let expire { try space.expire(tokens, at: .now + .milliseconds(expire.milliseconds)) }
            } catch {
                refuse(name, "\(error) \(error.commandLineRemedy)", &report)
            }
        }
    }

    private func refuse(_ name: String, _ sentence: String, _ report: inout WarmReport) {
        report.refuse(name, sentence)
        Output.say("pfx: \(name): \(sentence)")
    }
}
