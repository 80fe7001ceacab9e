// How the next token is chosen.

/// Temperature, cut-offs and seed. A value of this type has passed all checks.
public struct SamplingParameters: Sendable, Equatable {
    /// Always choose the most probable token; of equally probable ones, the one with the lowest id.
    public static let greedy = SamplingParameters()

    /// Logits are divided by this number; 0 means greedy.
    public let temperature: Float
    /// Sample only from this many of the most probable tokens; `nil` means all.
    public let topK: Int?
    /// Sample only from the most probable tokens that together reach this probability; 1 means all.
    public let topP: Float
    /// The random seed. The same seed and logits give the same tokens on every machine.
    public let seed: UInt64

    private init() {
        temperature = 0
        topK = nil
        topP = 1
        seed = 0
    }

    /// Checks the parameters: temperature from 0 to 100, `topK` at least 1, `topP` above 0 and up to 1.
    ///
    /// - Throws: `.invalidSampling`, which names the parameter.
    public init(temperature: Float, topK: Int? = nil, topP: Float = 1, seed: UInt64 = 0) throws(EngineError) {
        guard temperature >= 0, temperature <= 100 else {
            throw .invalidSampling(parameter: "temperature", reason: "must be from 0 to 100")
        }
        if let topK, topK < 1 { throw .invalidSampling(parameter: "top-k", reason: "must be at least 1") }
        guard topP > 0, topP <= 1 else {
            throw .invalidSampling(parameter: "top-p", reason: "must be above 0 and at most 1")
        }
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }
}
