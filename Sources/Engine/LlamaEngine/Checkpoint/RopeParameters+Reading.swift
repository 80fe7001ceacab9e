// Rotary parameters in their two spellings: `rope_theta` with `rope_scaling`, and the newer `rope_parameters`.

extension RopeParameters {
    /// Reads them from the fields of `config.json`.
    init(_ config: JSONFields) throws(EngineError) {
        let newer = try config.object("rope_parameters")
        let older = try config.object("rope_scaling")
        if newer?["full_attention"] != nil || newer?["sliding_attention"] != nil {
            throw .unsupportedFeature("rotary parameters by the type of layer (rope_parameters)")
        }
        var theta = try newer?.positive("rope_theta", atMost: CheckpointLimits.ropeTheta)
        if theta == nil { theta = try config.positive("rope_theta", atMost: CheckpointLimits.ropeTheta) }
        if let partial = try newer?.positive("partial_rotary_factor", atMost: 1), partial != 1 {
            throw .unsupportedFeature("rotation of a part of each head (partial_rotary_factor)")
        }
        var scaling = Scaling.none
        if let fields = newer ?? older { scaling = try Self.scaling(fields) }
        self.init(theta: theta ?? 10_000, scaling: scaling)
    }

    private static func scaling(_ fields: JSONFields) throws(EngineError) -> Scaling {
        let newer = try fields.string("rope_type")
        let older = try fields.string("type")
        switch newer ?? older ?? "default" {
        case "default":
            guard fields["factor"] == nil else { throw fields.refusal("rope_type", "is missing beside a factor") }
            return .none
        case "linear": return .linear(factor: try factor(fields, "factor"))
        case "llama3": return try llama3(fields)
        case let type: throw .unsupportedFeature("the rotary scaling \(type)")
        }
    }

    private static func llama3(_ fields: JSONFields) throws(EngineError) -> Scaling {
        let low = try factor(fields, "low_freq_factor")
        let high = try factor(fields, "high_freq_factor")
        guard high > low else { throw fields.refusal("high_freq_factor", "is not above low_freq_factor") }
        return .llama3(
            factor: try factor(fields, "factor"), lowFrequencyFactor: low, highFrequencyFactor: high,
            originalMaxPositions: try fields.size(
                "original_max_position_embeddings", atMost: CheckpointLimits.maxPositions))
    }

    private static func factor(_ fields: JSONFields, _ field: String) throws(EngineError) -> Float {
        guard let value = try fields.positive(field, atMost: CheckpointLimits.ropeFactor) else {
            throw fields.refusal(field, "is missing")
        }
        return value
    }
}
