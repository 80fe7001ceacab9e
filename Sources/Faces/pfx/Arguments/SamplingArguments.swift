// How tokens are chosen, unless a line of input says otherwise.

internal import ArgumentParser
internal import LlamaEngine

/// --temperature, --top-k, --top-p, --seed.
struct SamplingArguments: ParsableArguments {
    @Option(help: ArgumentHelp("Sampling temperature, 0 to 100; 0 is greedy.", valueName: "number"))
    var temperature: Float = 0

    @Option(help: ArgumentHelp("Sample only from this many most probable tokens.", valueName: "count"))
    var topK: Int?

    @Option(
        help: ArgumentHelp(
            "Sample only from the most probable tokens that together reach this probability.", valueName: "number"))
    var topP: Float = 1

    @Option(help: ArgumentHelp("Random seed of each request.", valueName: "number"))
    var seed: UInt64 = 0

    func validate() throws {
        do throws(EngineError) {
            _ = try parameters(overriddenBy: nil)
        } catch {
            throw ValidationError("\(error) \(error.remedy)")
        }
    }

    /// The parameters of a request: those of its line, and these for those that the line leaves out.
    func parameters(overriddenBy fields: PromptFields?) throws(EngineError) -> SamplingParameters {
        try SamplingParameters(
            temperature: fields?.temperature ?? temperature, topK: fields?.topK ?? topK, topP: fields?.topP ?? topP,
            seed: fields?.seed ?? seed)
    }
}
