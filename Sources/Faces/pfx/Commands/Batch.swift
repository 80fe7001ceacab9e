// `pfx batch`: the main job. A file of prompts through a model, with a store that remembers their prefixes.

internal import ArgumentParser
internal import Foundation

/// `pfx batch --model <folder> --store <folder> --input <file>`.
struct Batch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a file of prompts through a model, reusing what the store has of them.",
        discussion: """
            A line of input is a JSON object with "id", and "prompt" or "tokens"; also "max_new_tokens", "temperature", "top_p", \
            "top_k", "seed", and "stop" (texts that end the reply). Other fields are ignored. A line of output has "id", "text", \
            "tokens", "prompt_tokens", "reused_tokens" ("hot" from RAM, "cold" from disk; "shared": those of the hot ones that \
            came from a request beside it), "queue_seconds", "prefill_seconds", "ttft_seconds" (time to first token) and \
            "finish_reason"; lines come in the order in which requests finish. A line that is no request gets "id", "line" and \
            "error", and the others go on; the exit status is 1 then. The first Ctrl-C ends the run in order, with status 130.
            """)

    @OptionGroup var engine: EngineArguments
    @OptionGroup var cache: CacheArguments
    @OptionGroup var sampling: SamplingArguments

    @Option(help: "The prompts, one JSON object a line; - is standard input.")
    var input: String

    @Option(help: "Where the replies go; the file is begun anew. - is standard output.")
    var output = "-"

    @Option(help: "Tokens to generate at most, where a line does not say.")
    var maxNewTokens = 64

    @Option(help: "Requests that run side by side.")
    var parallel = 8

    @Flag(help: "Use no store, even with --store: for comparison.")
    var noStore = false

    @Flag(help: "Print the summary as one JSON object, to standard output when the replies go to a file.")
    var json = false

    func validate() throws {
        guard noStore || cache.store != nil else { throw ValidationError("Give --store <folder>, or --no-store.") }
        guard maxNewTokens >= 0 else { throw ValidationError("--max-new-tokens is below 0.") }
    }

    func run() throws {
        Interruption.watch()
        let reader = try LineReader(path: input)
        let runtime = try Runtime(engine, parallel: parallel, cache: noStore ? nil : cache)
        // Opened last: what the file holds is lost by that.
        let output = try BatchOutput(path: output, input: input)
        let requests = BatchInput(runtime, sampling: sampling, maxNewTokens: maxNewTokens)
        let batch = BatchRun(runtime, requests, from: reader, to: output)

        let clock = ContinuousClock()
        let began = clock.now
        var failures: [any Error] = []
        do { try batch.run() } catch { failures.append(error) }
        do { try runtime.close() } catch { failures.append(error) }
        let summary = RunSummary(
            batch.totals, seconds: began.duration(to: clock.now).seconds,
            interrupted: Interruption.signalNumber != nil, runtime)
        try summary.print(json: json, to: json && !output.isStandardOutput ? .standardOutput : .standardError)

        if let failure = failures.first { throw failure }
        if let signal = Interruption.signalNumber { throw ExitCode(Interruption.exitStatus(signal)) }
        if batch.totals.refused > 0 { throw ExitStatus.failure.code }
        if batch.totals.requests == 0 {
            throw CommandFailure(
                status: .badInput, sentence: "The input \(input == "-" ? "on standard input" : input) holds no prompt.",
                remedy: "Give a line of JSON with \"id\" and \"prompt\" for each.")
        }
    }
}
