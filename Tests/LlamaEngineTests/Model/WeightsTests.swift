// Weight files that hold more, or something else, than the configuration calls for.

import Foundation
import KVFormat
import TestKit
import Testing

@testable import LlamaEngine

@Suite("A model's weight files")
struct WeightsTests {
    @Test("are refused with another head beside an embedding that is said to be tied")
    func otherHead() throws {
        let embedding = "model.embed_tokens.weight"
        func engine(_ change: (inout [UInt8]) -> Void) throws -> Engine {
            try Self.engine("llama-fp16-tied") { tensors in
                guard var head = tensors[embedding] else { return }
                change(&head.bytes)
                tensors["lm_head.weight"] = head
            }
        }
        let same = try engine { _ in }
        let request = GenerationRequest(id: "a", tokens: [1, 2, 3], maxNewTokens: 4)
        #expect(
            same.results([request])["a"]?.tokens == (try testEngine("llama-fp16-tied").results([request])["a"]?.tokens))
        #expect(same.unusedTensors.isEmpty)
        let error = EngineError.invalidField(
            file: "config.json", field: "tie_word_embeddings",
            reason: "is true, but the weight files hold a lm_head.weight that is not the embedding")
        #expect(throws: error) { _ = try engine { $0[$0.count - 1] ^= 1 } }
    }

    @Test(
        "are refused with tensors of the model that the configuration does not call for",
        arguments: [
            "model.layers.1.self_attn.q_proj.bias", "model.layers.0.self_attn.q_norm.weight",
            "model.layers.2.input_layernorm.weight", "model.layers.0.block_sparse_moe.gate.weight", "model.norm.bias",
            "lm_head.bias",
        ])
    func unusedTensors(name: String) {
        #expect(throws: EngineError.unusedTensors(count: 1, example: name)) {
            _ = try Self.engine("llama-bf16") { $0[name] = Tensor(dtype: "BF16", shape: [1], bytes: [0, 0]) }
        }
    }

    @Test("may hold tensors outside the model, which are listed, and frequencies that follow from the configuration")
    func otherTensors() throws {
        let tensor = Tensor(dtype: "F32", shape: [1], bytes: [0, 0, 0, 0])
        let engine = try Self.engine("llama-bf16") { tensors in
            tensors["v_head.weight"] = tensor
            tensors["score.weight"] = tensor
            tensors["model.layers.0.self_attn.rotary_emb.inv_freq"] = tensor
        }
        #expect(engine.unusedTensors == ["score.weight", "v_head.weight"])
        #expect(try testEngine("llama-bf16").unusedTensors.isEmpty)
    }

    /// An engine on a fixture whose weights are changed by `change`.
    static func engine(
        _ name: String, cache: (any PrefixCache)? = nil, batch: Int = 64, _ change: (inout [String: Tensor]) -> Void
    ) throws -> Engine {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.checkpoint(name))
        let checkpoint = try Checkpoint(folder: folder.path)
        var tensors = checkpoint.weights.tensors.mapValues { place in
            let entry = place.entry
            let bytes = unsafe checkpoint.weights.files[place.file].buffer[
                entry.offset..<entry.offset + entry.byteCount]
            return unsafe Tensor(dtype: entry.dtype, shape: entry.shape, bytes: Array(bytes))
        }
        change(&tensors)
        var data: [UInt8] = []
        var entries: [String] = []
        for (name, tensor) in tensors.sorted(by: { $0.key < $1.key }) {
            let end = data.count + tensor.bytes.count
            entries.append(SafetensorsBytes.entry(name, tensor.dtype, tensor.shape, data.count, end))
            data += tensor.bytes
        }
        try folder.write(
            "model.safetensors",
            SafetensorsBytes.file(header: "{" + entries.joined(separator: ",") + "}", data: data))
        return try Engine(
            checkpoint: Checkpoint(folder: folder.path),
            options: EngineOptions(pageSize: 16, maxBatchTokens: batch), cache: cache)
    }

    /// A tensor in memory.
    struct Tensor {
        var dtype: String
        var shape: [Int]
        var bytes: [UInt8]
    }
}
