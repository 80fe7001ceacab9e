// How the next token is chosen.

/// Temperature, cut-offs and seed. A value has passed its checks.
public struct SamplingParameters: Sendable, Equatable {
    /// Always the most probable token; of equal ones the lowest id.
    public static let greedy = SamplingParameters()

    /// What logits are divided by; 0 means greedy.
    public let temperature: Float
    /// Only the so many most probable tokens; `nil` means all.
    public let topK: Int?
    /// Only the most probable tokens that together reach this probability; 1 means all.
    public let topP: Float
    /// Where the random numbers begin: the same seed and logits give the same tokens on every machine.
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
            throw .invalidSampling(parameter: "temperature", reason: "is not from 0 to 100")
        }
        if let topK, topK < 1 { throw .invalidSampling(parameter: "top-k", reason: "is below 1") }
        guard topP > 0, topP <= 1 else {
            throw .invalidSampling(parameter: "top-p", reason: "is not above 0 and up to 1")
        }
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }
}
