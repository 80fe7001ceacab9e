// The shape of a model, as `config.json` gives it after every check.

/// What the engine needs to know about a model before it reads a weight.
///
/// Every number has been checked: positive, below its bound in `CheckpointLimits`, heads divisible by KV heads.
public struct ModelConfig: Sendable, Equatable {
    /// The families of models that are implemented.
    public enum Architecture: String, Sendable, CaseIterable {
        /// Llama 2 and 3, and models with the same layout.
        case llama
        /// Mistral without a sliding window.
        case mistral
        /// Qwen2 and Qwen2.5: bias on query, key and value.
        case qwen2
        /// Qwen3: RMS norm on each head of query and key.
        case qwen3
    }

    /// The family the weights belong to.
    public let architecture: Architecture
    /// Width of the residual stream, in elements.
    public let hiddenSize: Int
    /// Number of decoder layers.
    public let layerCount: Int
    /// Number of query heads in a layer.
    public let headCount: Int
    /// Number of key and value heads in a layer; divides `headCount`.
    public let kvHeadCount: Int
    /// Elements of one head; an even number. `headCount * headDimension` need not be `hiddenSize`.
    public let headDimension: Int
    /// Width of the gated feed-forward layer, in elements.
    public let intermediateSize: Int
    /// Rows of the embedding. Token ids are below this number.
    public let vocabularySize: Int
    /// Positions the model was made for, in tokens.
    public let maxPositions: Int
    /// The number that RMS norms add to the mean square.
    public let rmsNormEpsilon: Float
    /// Rotary position encoding.
    public let rope: RopeParameters
    /// Whether the output projection is the embedding. If so, a `lm_head.weight` must be equal to it.
    public let tiesEmbeddings: Bool
    /// Whether the query, key and value projections have a bias.
    public let hasAttentionBias: Bool
    /// Whether the attention's output projection (`o_proj`) has a bias: Llama and Qwen3 with `attention_bias`, never
    /// Qwen2.
    public let hasAttentionOutputBias: Bool
    /// Whether each head of query and key is normalised before the rotation (`q_norm`, `k_norm`).
    public let normalizesQueryAndKey: Bool
    /// The token that begins a sequence, if the checkpoint names one.
    public let bosTokenID: UInt32?
    /// The tokens that end generation; `generation_config.json` overrides `config.json`. May be empty.
    public let eosTokenIDs: [UInt32]
}
