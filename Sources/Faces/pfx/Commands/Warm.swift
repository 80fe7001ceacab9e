// `pfx warm`: prefixes into the store before anybody asks for them.

internal import ArgumentParser
internal import Foundation
internal import LlamaEngine
internal import PrefixStore

/// `pfx warm --model <folder> --store <folder> --input <file>`.
struct Warm: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compute prefixes and keep them in the store; generate nothing.",
        discussion: """
            An input whose name ends in .jsonl, and standard input, hold one JSON object a line with "prompt" or "tokens", and \
            "id" if you like. Any other input is one prefix: its whole text. What the store has is not computed again. A prefix \
            that cannot be used is reported, the others go on, and the exit status is 1.
            """)

    @OptionGroup var engine: EngineArguments
    @OptionGroup var cache: CacheArguments

    @Option(help: "A file of prefixes; may be given more than once. - is standard input.")
    var input: [String]

    @Flag(help: "Keep the prefixes on disk whatever the quota asks, until `pfx unpin`.")
    var pin = false

    @Option(help: "Let the end of each prefix, and what follows it, expire after 90s, 30m, 12h or 7d.")
    var expire: DurationArgument?

    @Flag(help: "Print one JSON object.")
    var json = false

    func validate() throws {
        guard cache.store != nil else { throw ValidationError("Give --store <folder>.") }
        if case .afterHits = cache.writePolicy.policy {
            throw ValidationError("--write-policy hits:N would leave out what nobody has asked for yet.")
        }
    }

    func run() throws {
        Interruption.watch()
        let runtime = try Runtime(engine, parallel: 1, cache: cache)
        var report = WarmReport()
        var kept: [(name: String, tokens: [UInt32])] = []
        for path in input where Interruption.signalNumber == nil {
            try WarmInput.forEach(of: path, runtime.tokenizer) { name, tokens in
                do throws(InputError) {
                    let tokens = try tokens.get()
                    let result = try InputError.explaining { () throws(EngineError) in
                        try runtime.engine.prefill(tokens)
                    }
                    report.add(name, result)
                    if pin || expire != nil { kept.append((name, tokens)) }
                } catch {
                    refuse(name, error.sentence, &report)
                }
            }
        }
        try keep(kept, runtime, &report)
        try runtime.close()
        report.bytesOnDisk = runtime.bytesOnDisk
        try Output.write(json ? JSONOutput.text(report) : report.text)
        if let signal = Interruption.signalNumber { throw ExitCode(Interruption.exitStatus(signal)) }
        if !report.refused.isEmpty { throw ExitStatus.failure.code }
    }

    /// Pins the prefixes and dates them. They must be on disk for that.
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
                if let expire { try space.expire(tokens, at: Render.now + expire.milliseconds) }
            } catch {
                refuse(name, "\(error) \(error.remedy)", &report)
            }
        }
    }

    private func refuse(_ name: String, _ sentence: String, _ report: inout WarmReport) {
        report.refuse(name, sentence)
        FileHandle.standardError.write(Data("pfx: \(name): \(sentence)\n".utf8))
    }
}
