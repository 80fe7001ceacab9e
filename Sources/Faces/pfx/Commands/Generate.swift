// `pfx generate`: continues one prompt and shows the reply while it comes.

internal import ArgumentParser
internal import Foundation
internal import LlamaEngine

/// `pfx generate --model <folder> --prompt <text>`.
struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Continue one prompt, and show the reply as it comes.",
        discussion: """
            The reply goes to standard output, the figures to standard error. With --store the prompt's prefix is \
            loaded as far as it is stored, and prompt and reply are stored for the next time.

            EXAMPLES:
              pfx generate --model llama --prompt "The capital of France is"
              pfx generate --model llama --store kv --prompt-file letter.txt --max-new-tokens 100
              cat letter.txt | pfx generate --model llama --store kv --prompt-file -
            """)

    @Option(help: ArgumentHelp("Prompt.", valueName: "text"))
    var prompt: String?

    @Option(help: ArgumentHelp("File that holds the prompt; - is standard input.", valueName: "file"))
    var promptFile: String?

    @Option(help: ArgumentHelp("Most tokens to generate.", valueName: "count"))
    var maxNewTokens = 256

    @Flag(help: "Print the reply and its figures as one JSON object, at the end.")
    var json = false

    @OptionGroup(title: "Model") var engine: EngineArguments
    @OptionGroup(title: "Store") var cache: CacheArguments
    @OptionGroup(title: "Store") var without: NoStoreArgument
    @OptionGroup(title: "Sampling") var sampling: SamplingArguments

    func validate() throws {
        guard (prompt == nil) != (promptFile == nil) else {
            throw ValidationError("Give either --prompt or --prompt-file.")
        }
        guard maxNewTokens >= 0 else { throw ValidationError("--max-new-tokens must be 0 or more.") }
    }

    func run() throws {
        Interruption.watch()
        let text = try promptText()
        let runtime = try Runtime(engine, parallel: 1, cache: without.noStore ? nil : cache)
        let tokenizer = try runtime.tokenizer.get()
        guard !text.isEmpty else {
            throw CommandFailure(status: .badInput, sentence: "The prompt is empty.", remedy: "Give some text.")
        }
        let encoder = PromptEncoder(runtime.tokenizer, addsSpecialTokens: !engine.noSpecialTokens)
        try runtime.engine.submit(
            GenerationRequest(
                id: "", tokens: try encoder.tokenIDs(of: text), maxNewTokens: maxNewTokens,
                sampling: try sampling.parameters(overriddenBy: nil),
                stopTokens: Set(runtime.checkpoint.config.eosTokenIDs)))
        if let warning = encoder.takeWarning() { Output.say("pfx: \(warning)") }

        let clock = ContinuousClock()
        let began = clock.now
        var totals = BatchTotals()
        var failures: [any Error] = []
        do {
            let result = try generate(runtime.engine, tokenizer)
            totals.add(result, isDone: result.finishReason != .cancelled)
            if json {
                let reply = tokenizer.decode(result.tokens)
                try Output.write(
                    JSONOutput.text(ResultLine(result, text: reply, finishReason: result.finishReason)))
            }
        } catch {
            failures.append(error)
        }
        do { try runtime.close() } catch { failures.append(error) }
        if let failure = failures.first, Output.isBrokenPipe(failure) { throw failure }
        if !json {
            let seconds = began.duration(to: clock.now).seconds
            try RunSummary(totals, seconds: seconds, interrupted: Interruption.signalNumber != nil, runtime)
                .print(json: false, to: .standardError)
        }
        if let failure = failures.first { throw failure }
        if let signal = Interruption.signalNumber { throw ExitCode(Interruption.exitStatus(signal)) }
    }

    /// Runs until the reply ends, or a signal ends it.
    private func generate(_ engine: Engine, _ tokenizer: Tokenizer) throws -> GenerationResult {
        var decoder = StreamingDecoder(tokenizer)
        var result: GenerationResult?
        var failure: (any Error)?
        func show(_ text: String) {
            guard !json, failure == nil, !text.isEmpty else { return }
            do { try Output.write(text) } catch { failure = error }
        }
        while !engine.isIdle {
            if Interruption.signalNumber != nil || failure != nil { engine.cancel("") }
            try engine.step(onToken: { show(decoder.append($1)) }, onFinish: { result = $0 })
        }
        show(decoder.finish())
        show("\n")
        if let failure { throw failure }
        guard let result else { preconditionFailure("a request ends with a result") }
        return result
    }

    private func promptText() throws -> String {
        if let prompt { return prompt }
        return try TextFile.read(promptFile ?? "-")
    }
}
