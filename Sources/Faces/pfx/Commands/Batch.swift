// `pfx batch`: the main command. Runs a file of prompts through a model, with a store that keeps their prefixes.

internal import ArgumentParser
internal import Foundation

/// `pfx batch --model <folder> --store <folder> --input <file>`.
struct Batch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run a file of prompts through a model, reusing stored prefixes.",
        discussion: """
            EXAMPLES:
              pfx batch --model llama --store kv --input prompts.jsonl --output replies.jsonl
              pfx batch --model llama --store kv --input prompts.jsonl --output replies.jsonl --resume
              cat prompts.jsonl | pfx batch --model llama --no-store --input - | jq .text

            INPUT: one JSON object per line, with "id" and either "prompt" or "tokens" (a list of token ids).
              {"id": "a1", "prompt": "The capital of France is", "max_new_tokens": 2}
            Optional fields: "max_new_tokens" (also "max_tokens" or "max_completion_tokens"), "temperature", "top_p", \
            "top_k", "seed", "stop" (texts that end the reply) and "add_special_tokens". Unknown fields are ignored \
            and counted at the end; --strict refuses them. "n" above 1, "logprobs", "messages" and requests in \
            OpenAI's batch format are refused.

            OUTPUT: one JSON object per request, written as soon as the request has finished.
              {"finish_reason":"length","id":"a1","prefill_seconds":0.02,"prompt_tokens":6,"queue_seconds":0.001,\
            "reused_tokens":{"cold":5,"hot":0,"shared":0},"text":" Paris.","tokens":[12366,13],"ttft_seconds":0.021}
            "reused_tokens" counts prompt tokens that were not computed: "hot" came from RAM, "cold" from disk; \
            "remote", if there is one, from there; "shared" is the part of "hot" that came from a request running at \
            the same time. "ttft_seconds" is the time to first token.
            A bad line gets "id", "line" and "error". The other lines still run, and the exit status is 1. The first \
            Ctrl-C ends the run cleanly, with status 130.
            """)

    @Option(help: ArgumentHelp("Prompts, one JSON object per line; - is standard input.", valueName: "file"))
    var input: String

    @Option(help: ArgumentHelp("File for the replies, a new one; - is standard output.", valueName: "file"))
    var output = "-"

    @Flag(exclusivity: .exclusive)
    var existing: ExistingOutput?

    @Option(help: ArgumentHelp("Most tokens to generate, for lines that give no number.", valueName: "count"))
    var maxNewTokens = 64

    @Option(help: ArgumentHelp("Requests that run at the same time.", valueName: "count"))
    var parallel = 8

    @Flag(help: "Refuse lines with unknown fields.")
    var strict = false

    @Flag(help: "Print the summary as JSON: to standard output if the replies go to a file, else to standard error.")
    var json = false

    @OptionGroup(title: "Model") var engine: EngineArguments
    @OptionGroup(title: "Store") var cache: CacheArguments
    @OptionGroup(title: "Store") var without: NoStoreArgument
    @OptionGroup(title: "Sampling, for lines without their own values") var sampling: SamplingArguments

    func validate() throws {
        guard without.noStore || cache.store != nil else {
            throw ValidationError("Give --store <folder> or --no-store.")
        }
        guard maxNewTokens >= 0 else { throw ValidationError("--max-new-tokens must be 0 or more.") }
        guard existing == nil || output != "-" else {
            throw ValidationError("--\(existing?.rawValue ?? "") needs --output <file>.")
        }
    }

    func run() throws {
        Interruption.watch()
        let reader = try LineReader(path: input)
        let output = try BatchOutput(path: output, input: input, existing: existing)
        let runtime = try Runtime(engine, parallel: parallel, cache: without.noStore ? nil : cache)
        let encoder = PromptEncoder(runtime.tokenizer, addsSpecialTokens: !engine.noSpecialTokens)
        let requests = BatchInput(
            runtime, encoder: encoder, sampling: sampling, maxNewTokens: maxNewTokens, isStrict: strict)
        let batch = BatchRun(runtime, requests, from: reader, to: output)

        let clock = ContinuousClock()
        let began = clock.now
        var failures: [any Error] = []
        do { try batch.run() } catch { failures.append(error) }
        do { try runtime.close() } catch { failures.append(error) }
        if let failure = failures.first, Output.isBrokenPipe(failure) { throw failure }
        let summary = RunSummary(
            batch.totals, seconds: began.duration(to: clock.now).seconds,
            interrupted: Interruption.signalNumber != nil, ignored: batch.ignored, runtime)
        // A run that ended before its first request has no summary.
        if failures.isEmpty || batch.totals.requests > 0 {
            try summary.print(json: json, to: json && !output.isStandardOutput ? .standardOutput : .standardError)
        }
        if let ignored = batch.ignored.text { Output.say(ignored) }

        if let failure = failures.first { throw failure }
        if let signal = Interruption.signalNumber { throw ExitCode(Interruption.exitStatus(signal)) }
        if batch.totals.refused > 0 { throw ExitStatus.failure.code }
        if batch.totals.requests + batch.totals.skipped == 0 {
            throw CommandFailure(
                status: .badInput, sentence: "The input \(input == "-" ? "on standard input" : input) holds no prompt.",
                remedy: "Give one line of JSON with \"id\" and \"prompt\" per request.")
        }
    }
}
