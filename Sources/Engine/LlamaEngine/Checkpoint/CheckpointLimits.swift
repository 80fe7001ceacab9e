// Every limit on the numbers in a checkpoint. They are far above those of any published model, and products of two or
// three of them are far from an overflow.

/// Bounds on numbers read from a checkpoint.
enum CheckpointLimits {
    /// Bytes of a JSON file; the largest tokenizers have about 35 MiB.
    static let jsonBytes = 256 << 20
    /// Bytes of a weight file's header; the safetensors library has the same bound.
    static let headerBytes = 100_000_000
    /// Dimensions of a tensor.
    static let tensorRank = 8

    static let hiddenSize = 1 << 17
    static let layerCount = 1 << 10
    static let headCount = 1 << 12
    static let headDimension = 1 << 12
    static let intermediateSize = 1 << 21
    static let vocabularySize = 1 << 22
    static let maxPositions = 1 << 26
    static let ropeTheta: Float = 1e12
    static let ropeFactor: Float = 1e6
}
