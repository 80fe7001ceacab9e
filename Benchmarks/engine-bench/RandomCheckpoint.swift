// A model with random weights: of the size of the demo checkpoint, or larger.

import Foundation

enum RandomCheckpoint {
    /// How large: the demo checkpoint's 5 million weights, or 28 million, with 8 KiB of KV per token.
    enum Size: String, CaseIterable {
        case small, large

        fileprivate var hidden: Int { self == .small ? 256 : 512 }
        fileprivate var layers: Int { self == .small ? 6 : 8 }
        fileprivate var heads: Int { self == .small ? 4 : 8 }
        fileprivate var kvHeads: Int { self == .small ? 2 : 4 }
        fileprivate var width: Int { self == .small ? 704 : 1408 }
    }

    private static let headDimension = 64, vocabulary = 4096

    /// Writes it into a new temporary folder.
    static func write(_ size: Size) throws -> String {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("engine-bench-\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let config: [String: Any] = [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": size.hidden,
            "intermediate_size": size.width, "num_hidden_layers": size.layers, "num_attention_heads": size.heads,
            "num_key_value_heads": size.kvHeads, "head_dim": headDimension, "vocab_size": vocabulary,
            "max_position_embeddings": 8192, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
            "tie_word_embeddings": true,
        ]
        try JSONSerialization.data(withJSONObject: config).write(to: folder.appendingPathComponent("config.json"))
        try weights(size).write(to: folder.appendingPathComponent("model.safetensors"))
        return folder.path
    }

    private static func weights(_ size: Size) throws -> Data {
        let (hidden, width, heads, kvHeads) = (size.hidden, size.width, size.heads, size.kvHeads)
        var tensors: [(String, [Int])] = [
            ("model.embed_tokens.weight", [vocabulary, hidden]), ("model.norm.weight", [hidden]),
        ]
        for layer in 0..<size.layers {
            let prefix = "model.layers.\(layer)."
            tensors += [
                (prefix + "input_layernorm.weight", [hidden]), (prefix + "post_attention_layernorm.weight", [hidden]),
                (prefix + "self_attn.q_proj.weight", [heads * headDimension, hidden]),
                (prefix + "self_attn.k_proj.weight", [kvHeads * headDimension, hidden]),
                (prefix + "self_attn.v_proj.weight", [kvHeads * headDimension, hidden]),
                (prefix + "self_attn.o_proj.weight", [hidden, heads * headDimension]),
                (prefix + "mlp.gate_proj.weight", [width, hidden]), (prefix + "mlp.up_proj.weight", [width, hidden]),
                (prefix + "mlp.down_proj.weight", [hidden, width]),
            ]
        }
        var header: [String: Any] = [:]
        var data = Data()
        var random: UInt64 = 88_172_645_463_325_252
        for (name, shape) in tensors {
            let count = shape.reduce(1, *)
            let begin = data.count
            let values = (0..<count).map { _ in
                random ^= random << 13
                random ^= random >> 7
                random ^= random << 17
                let value = shape.count == 1 ? 1 : (Float(random >> 40) / Float(1 << 24) - 0.5) * 0.1
                return UInt16(value.bitPattern >> 16).littleEndian
            }
            unsafe values.withUnsafeBytes { unsafe data.append(contentsOf: $0) }
            header[name] = ["dtype": "BF16", "shape": shape, "data_offsets": [begin, data.count]]
        }
        let json = try JSONSerialization.data(withJSONObject: header, options: [.sortedKeys])
        var file = Data()
        unsafe withUnsafeBytes(of: UInt64(json.count).littleEndian) { unsafe file.append(contentsOf: $0) }
        return file + json + data
    }
}
