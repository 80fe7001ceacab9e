// How tokens are chosen, unless a line of input says otherwise.

internal import ArgumentParser
internal import LlamaEngine

/// --temperature, --top-k, --top-p, --seed.
struct SamplingArguments: ParsableArguments {
    @Option(help: "What logits are divided by; 0 always takes the most probable token.")
    var temperature: Float = 0

    @Option(help: "Choose among the so many most probable tokens only.")
    var topK: Int?

    @Option(help: "Choose among the most probable tokens that together reach this probability.")
    var topP: Float = 1

    @Option(help: "Where the random numbers of each request begin.")
    var seed: UInt64 = 0

    func validate() throws {
        do throws(EngineError) {
            _ = try parameters(overriddenBy: nil)
        } catch {
            throw ValidationError("\(error) \(error.remedy)")
        }
    }

    /// The parameters of a request: those of its line, and these for what the line leaves out.
    func parameters(overriddenBy fields: PromptFields?) throws(EngineError) -> SamplingParameters {
        try SamplingParameters(
            temperature: fields?.temperature ?? temperature, topK: fields?.topK ?? topK, topP: fields?.topP ?? topP,
            seed: fields?.seed ?? seed)
    }
}
