// Files of a checkpoint: weights' headers, configurations, tokenizers.

import Foundation
import TestKit

@testable import LlamaEngine

extension FuzzTarget {
    private static let fixtures = "LlamaEngineTests/Fixtures/"

    /// A file of weights. The length of the header is made right when the first byte says so.
    static let safetensors = FuzzTarget(
        name: "safetensors", subject: "the headers of safetensors files", longest: 1 << 14,
        seeds: {
            let header =
                #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"b":"#
                + #"{"dtype":"BF16","shape":[4],"data_offsets":[24,32]},"c":{"dtype":"I64","shape":[],"#
                + #""data_offsets":[32,40]}}"#
            let length = (0..<8).map { UInt8(header.utf8.count >> (8 * $0) & 255) }
            let data = [UInt8](repeating: 7, count: 40)
            let real = try Scratch.fixture(fixtures + "checkpoints/qwen2/model.safetensors").prefix(12_000)
            return [[0] + length + Array(header.utf8) + data, [40] + Array(header.utf8) + data, [0] + real]
        },
        run: { input in
            let data = input.byte()
            var bytes = input.rest()
            if data > 0 {
                let count = max(0, bytes.count - data)
                bytes = (0..<8).map { UInt8(count >> (8 * $0) & 255) } + bytes
            }
            guard let file = try? MappedFile(path: Scratch.file("model.safetensors", bytes)),
                let header = try? SafetensorsHeader(of: file, name: "model.safetensors")
            else { return }
            for tensor in header.tensors.values {
                input.require(
                    tensor.offset >= 8 && tensor.byteCount >= 0 && tensor.offset <= bytes.count - tensor.byteCount,
                    "every tensor lies inside its file")
            }
            input.plant(header.tensors.values.contains { !["F32", "BF16", "I64"].contains($0.dtype) })
        })

    /// Which file of a checkpoint's folder; then its bytes.
    static let checkpoint = FuzzTarget(
        name: "checkpoint", subject: "config.json, generation_config.json, the index of shards", longest: 1 << 13,
        seeds: {
            let names = ["llama3-rope", "llama-linear", "qwen3", "mistral", "llama-bf16"]
            var seeds = try names.map { [0] + (try Scratch.fixture(fixtures + "checkpoints/\($0)/config.json")) }
            seeds.append([1] + (try Scratch.fixture(fixtures + "checkpoints/qwen2/config.json")))
            seeds.append(
                [2] + (try Scratch.fixture(fixtures + "checkpoints/llama-sharded/model.safetensors.index.json")))
            return seeds
        },
        run: { input in
            let choice = input.byte() % 3
            let bytes = input.rest()
            let folder = Scratch.folder.path
            switch choice {
            case 0: _ = Scratch.file("config.json", bytes)
            case 1:
                _ = Scratch.file("config.json", Array(soundConfig.utf8))
                _ = Scratch.file("generation_config.json", bytes)
            default:
                _ = Scratch.file("model.safetensors.index.json", bytes)
                _ = try? WeightFiles(folder: folder)
                return
            }
            guard let file = try? MappedFile(path: folder + "/config.json"),
                let config = try? ModelConfig(file, folder: folder)
            else { return }
            input.require(
                config.headCount % config.kvHeadCount == 0 && config.layerCount > 0, "a configuration was checked")
            // No seed has an odd size.
            input.plant([config.vocabularySize, config.intermediateSize, config.maxPositions].contains { $0 % 2 == 1 })
        })

    private static let soundConfig = """
        {"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 512, "max_position_embeddings": 256,
         "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "torch_dtype": "float32"}
        """

    /// A file `tokenizer.json`, and a text that is encoded by it and decoded again.
    static let tokenizer = FuzzTarget(
        name: "tokenizer", subject: "tokenizer.json, and texts that it encodes", longest: 1 << 14,
        seeds: {
            let names = ["llama-bf16", "qwen2"]
            return try names.map { try Scratch.fixture(fixtures + "checkpoints/\($0)/tokenizer.json") }
        },
        run: { input in
            let bytes = input.rest()
            guard let tokenizer = try? Tokenizer(path: Scratch.file("tokenizer.json", bytes)) else { return }
            let texts = [
                "Hello, world 12\n\t \r\n", "e\u{301} \u{6F22}\u{5B57} \u{1F642}<|eot|>", "\u{0}\u{FEFF}'s 3.14",
            ]
            for text in texts {
                let ids = tokenizer.encode(text)
                input.require(
                    ids.allSatisfy { Int($0) < tokenizer.vocabularySize }, "an id lies below the vocabulary's size")
                _ = tokenizer.decode(ids)
            }
            _ = tokenizer.decode([0, 1, UInt32(tokenizer.vocabularySize), .max])
            input.plant(tokenizer.vocabularySize > 1000)
        })
}
