// Reading `config.json` and `generation_config.json`. Features that are not implemented are refused by name, and
// nothing that would change a number is guessed.

extension ModelConfig {
    /// Reads the configuration of the checkpoint in `folder`.
    ///
    /// - Throws: `.missingFile` without `config.json`, `.invalidField`, `.unknownArchitecture`, `.unsupportedFeature`.
    public init(folder: String) throws(EngineError) {
        try self.init(MappedFile(path: folder + "/" + Self.fileName), folder: folder)
    }

    static let fileName = "config.json"
    private static let generationFileName = "generation_config.json"

    /// Reads `mapped`, the `config.json` of `folder`, and the generation settings beside it if there are any.
    init(_ mapped: MappedFile, folder: String) throws(EngineError) {
        let config = try JSONFields(mapped, file: Self.fileName)
        let generation: JSONFields
        do {
            let file = try MappedFile(path: folder + "/" + Self.generationFileName)
            generation = try JSONFields(file, file: Self.generationFileName)
        } catch .missingFile {
            generation = JSONFields(file: Self.generationFileName, fields: [:])
        }
        try self.init(config, generation: generation)
    }

    init(_ config: JSONFields, generation: JSONFields) throws(EngineError) {
        architecture = try Self.architecture(config)
        try Self.refuseUnsupported(config, architecture: architecture)
        hiddenSize = try config.size("hidden_size", atMost: CheckpointLimits.hiddenSize)
        layerCount = try config.size("num_hidden_layers", atMost: CheckpointLimits.layerCount)
        headCount = try config.size("num_attention_heads", atMost: CheckpointLimits.headCount)
        kvHeadCount = try Self.kvHeads(config, heads: headCount, architecture: architecture)
        headDimension = try Self.headDimension(
            config, hidden: hiddenSize, heads: headCount, architecture: architecture)
        intermediateSize = try config.size("intermediate_size", atMost: CheckpointLimits.intermediateSize)
        vocabularySize = try config.size("vocab_size", atMost: CheckpointLimits.vocabularySize)
        maxPositions = try config.size("max_position_embeddings", atMost: CheckpointLimits.maxPositions)
        rmsNormEpsilon = try config.positive("rms_norm_eps", atMost: 1) ?? 1e-6
        rope = try RopeParameters(config)
        tiesEmbeddings = try config.flag("tie_word_embeddings")
        let bias = try config.flag("attention_bias")
        hasAttentionBias = architecture == .qwen2 || (architecture != .mistral && bias)
        hasAttentionOutputBias = architecture != .qwen2 && architecture != .mistral && bias
        normalizesQueryAndKey = architecture == .qwen3
        bosTokenID = try Self.tokenIDs("bos_token_id", generation, config, below: vocabularySize).first
        eosTokenIDs = try Self.tokenIDs("eos_token_id", generation, config, below: vocabularySize)
        try refuseSlidingWindow(config)
    }

    /// Token ids from the first file that has the field; empty when neither has it.
    private static func tokenIDs(
        _ field: String, _ first: JSONFields, _ second: JSONFields, below bound: Int
    ) throws(EngineError) -> [UInt32] {
        if let ids = try first.tokenIDs(field, below: bound) { return ids }
        return try second.tokenIDs(field, below: bound) ?? []
    }

    /// The architecture by the class name, or by the model type when there is none.
    private static func architecture(_ config: JSONFields) throws(EngineError) -> Architecture {
        if case .array(let names) = config["architectures"], case .string(let name) = names.first {
            switch name {
            case "LlamaForCausalLM": return .llama
            case "MistralForCausalLM": return .mistral
            case "Qwen2ForCausalLM": return .qwen2
            case "Qwen3ForCausalLM": return .qwen3
            default: throw .unknownArchitecture(name)
            }
        }
        guard let type = try config.string("model_type") else { throw config.refusal("architectures", "is missing") }
        guard let architecture = Architecture(rawValue: type) else { throw .unknownArchitecture(type) }
        return architecture
    }

    /// Fields of related families that change the computation, each with the value at which it changes nothing.
    private static let foreignFields: [(field: String, meaning: String, neutral: Double)] = [
        ("num_local_experts", "a mixture of experts", 0), ("num_experts", "a mixture of experts", 0),
        ("n_routed_experts", "a mixture of experts", 0), ("attn_logit_softcapping", "capped scores", 0),
        ("final_logit_softcapping", "capped logits", 0), ("clip_qkv", "clipped queries, keys and values", 0),
        ("attention_multiplier", "another scale of the scores", 0), ("logits_scaling", "scaled logits", 1),
        ("embedding_multiplier", "a scaled embedding", 1), ("residual_multiplier", "scaled residuals", 1),
    ]

    /// Refuses fields that would change the computation.
    private static func refuseUnsupported(
        _ config: JSONFields, architecture: Architecture
    ) throws(EngineError) {
        if let quantization = try config.object("quantization_config") {
            let method = try quantization.string("quant_method") ?? "unnamed"
            throw .unsupportedFeature("quantised weights (\(method))")
        }
        let activation = try config.string("hidden_act") ?? "silu"
        guard activation == "silu" else { throw .unsupportedFeature("the activation \(activation)") }
        if try config.flag("mlp_bias") { throw .unsupportedFeature("a bias in the feed-forward layers (mlp_bias)") }
        if architecture != .mistral, try config.flag("use_sliding_window") {
            throw .unsupportedFeature("a sliding window (use_sliding_window)")
        }
        if let partial = try config.positive("partial_rotary_factor", atMost: 1), partial != 1 {
            throw .unsupportedFeature("rotation of a part of each head (partial_rotary_factor)")
        }
        for (field, meaning, neutral) in foreignFields {
            guard let value = config[field], value != .number(neutral), value != .bool(false) else { continue }
            throw .unsupportedFeature("\(meaning) (\(field))")
        }
        if case .array(let types) = config["layer_types"] {
            for case .string(let type) in types where type != "full_attention" {
                throw .unsupportedFeature("a layer of type \(type)")
            }
        }
    }

    /// Mistral has no switch for its window: a window that is narrower than the positions is in use. A file without the
    /// field means the window of the family's first model; only an explicit null means no window.
    private func refuseSlidingWindow(_ config: JSONFields) throws(EngineError) {
        guard architecture == .mistral else { return }
        let given = try config.integer("sliding_window", in: 1...CheckpointLimits.maxPositions)
        guard let window = config.mentions("sliding_window") ? given : 4096, window < maxPositions else { return }
        throw .unsupportedFeature("a sliding window of \(window) tokens (sliding_window)")
    }

    /// Only Llama may leave out the KV heads, which means no grouping. For the others, the defaults differ between
    /// libraries.
    private static func kvHeads(
        _ config: JSONFields, heads: Int, architecture: Architecture
    ) throws(EngineError) -> Int {
        let field = "num_key_value_heads"
        let given = try config.integer(field, in: 1...CheckpointLimits.headCount)
        guard let count = given ?? (architecture == .llama ? heads : nil) else {
            throw config.refusal(field, "is missing")
        }
        guard heads.isMultiple(of: count) else {
            throw config.refusal(field, "does not divide the \(heads) attention heads")
        }
        return count
    }

    /// The explicit size, or the hidden size divided by the heads. Qwen3 must give it, because its default differs.
    private static func headDimension(
        _ config: JSONFields, hidden: Int, heads: Int, architecture: Architecture
    ) throws(EngineError) -> Int {
        let given = try config.integer("head_dim", in: 1...CheckpointLimits.headDimension)
        if given == nil {
            guard architecture != .qwen3 else { throw config.refusal("head_dim", "is missing") }
            guard hidden.isMultiple(of: heads) else {
                throw config.refusal("hidden_size", "is not divisible by the \(heads) attention heads")
            }
        }
        let dimension = given ?? hidden / heads
        guard dimension.isMultiple(of: 2), dimension <= CheckpointLimits.headDimension else {
            throw config.refusal("head_dim", "is \(dimension), but rotation needs an even number of elements")
        }
        return dimension
    }
}
