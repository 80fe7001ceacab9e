import Foundation
import Testing
import TestKit

@testable import LlamaEngine

@Suite("A checkpoint")
struct CheckpointTests {
    @Test("opens, and its tensors have the shapes that its configuration implies", arguments: Fixtures.checkpoints)
    func opens(name: String) throws {
        let checkpoint = try Checkpoint(folder: Fixtures.checkpoint(name))
        let config = checkpoint.config
        let embedding = try checkpoint.tensor(
            "model.embed_tokens.weight", shape: [config.vocabularySize, config.hiddenSize])
        #expect(embedding.elementCount == config.vocabularySize * config.hiddenSize)
        #expect(embedding.bytes.byteCount == embedding.byteCount)
        for layer in 0..<config.layerCount {
            let prefix = "model.layers.\(layer).self_attn."
            let queries = config.headCount * config.headDimension
            let keys = config.kvHeadCount * config.headDimension
            _ = try checkpoint.tensor(prefix + "q_proj.weight", shape: [queries, config.hiddenSize])
            _ = try checkpoint.tensor(prefix + "v_proj.weight", shape: [keys, config.hiddenSize])
            #expect(checkpoint.hasTensor(prefix + "k_proj.bias") == config.hasAttentionBias)
            #expect(checkpoint.hasTensor(prefix + "o_proj.bias") == config.hasAttentionOutputBias)
            #expect(checkpoint.hasTensor(prefix + "q_norm.weight") == config.normalizesQueryAndKey)
        }
        #expect(checkpoint.hasTensor("lm_head.weight") != config.tiesEmbeddings)
        #expect(checkpoint.tensorNames == checkpoint.tensorNames.sorted())
    }

    @Test("gives each tensor in the element type it is stored in")
    func elementTypes() throws {
        func type(_ name: String) throws -> TensorElementType {
            try Checkpoint(folder: Fixtures.checkpoint(name)).tensor("model.norm.weight", shape: [32]).dtype
        }
        #expect(try type("llama-bf16") == .bf16)
        #expect(try type("llama-fp16-tied") == .fp16)
        #expect(try type("llama-fp32-bias") == .fp32)
    }

    @Test("gives a tensor's own bytes, which outlive the checkpoint")
    func bytes() throws {
        let folder = try scratch(tensors: ["a": [1, 2, 3, 4], "b": [5, 6, 7, 8, 9, 10, 11, 12]])
        var view: TensorView?
        do { view = try Checkpoint(folder: folder.path).tensor("b", shape: [2]) }
        let tensor = try #require(view)
        let copied = unsafe tensor.withUnsafeBytes { unsafe Array($0) }
        #expect(copied == [5, 6, 7, 8, 9, 10, 11, 12])
        let span = tensor.bytes
        let read = (0..<8).map { unsafe span.unsafeLoad(fromByteOffset: $0, as: UInt8.self) }
        #expect(read == copied)
    }

    @Test("refuses tensors that it lacks, of another shape, or of another type")
    func refusesTensors() throws {
        let sound = try scratch(tensors: ["a": [1, 2, 3, 4]])
        let checkpoint = try Checkpoint(folder: sound.path)
        #expect(throws: EngineError.missingTensor("b")) { _ = try checkpoint.tensor("b", shape: [1]) }
        #expect(throws: EngineError.wrongShape(tensor: "a", found: [1], expected: [1, 1])) {
            _ = try checkpoint.tensor("a", shape: [1, 1])
        }
        let folder = try scratch(tensors: [:])
        let header = "{" + SafetensorsBytes.entry("mask", "U8", [1], 0, 1) + "}"
        try folder.write("model.safetensors", SafetensorsBytes.file(header: header, data: [1]))
        #expect(throws: EngineError.unsupportedElementType(tensor: "mask", found: "U8")) {
            _ = try Checkpoint(folder: folder.path).tensor("mask", shape: [1])
        }
    }

    @Test("refuses a folder without weights")
    func refusesNothing() throws {
        let folder = try scratch(tensors: [:])
        try FileManager.default.removeItem(atPath: folder.path("model.safetensors"))
        #expect(throws: EngineError.missingFile(path: folder.path("model.safetensors"))) {
            _ = try Checkpoint(folder: folder.path)
        }
    }

    @Test("refuses an empty weight file")
    func refusesEmpty() throws {
        let folder = try scratch(tensors: [:])
        try folder.write("model.safetensors", [])
        #expect(throws: EngineError.truncatedFile(file: "model.safetensors", bytes: 0, needed: 8)) {
            _ = try Checkpoint(folder: folder.path)
        }
    }

    @Test(
        "in shards refuses names that leave the folder",
        arguments: ["../model.safetensors", "/etc/passwd", "a/b", "..", ""])
    func refusesEscape(shard: String) throws {
        let folder = try sharded(#"{"weight_map": {"a": "\#(shard)"}}"#)
        #expect(throws: EngineError.shardOutsideFolder(shard: shard)) { _ = try Checkpoint(folder: folder.path) }
    }

    @Test("in shards refuses an index that is no index, and a shard that is missing or lacks its tensor")
    func refusesShards() throws {
        let index = "model.safetensors.index.json"
        let none = try sharded("{}")
        #expect(throws: EngineError.invalidField(file: index, field: "weight_map", reason: "is missing")) {
            _ = try Checkpoint(folder: none.path)
        }
        let missing = try sharded(#"{"weight_map": {"a": "gone.safetensors"}}"#)
        #expect(throws: EngineError.missingFile(path: missing.path("gone.safetensors"))) {
            _ = try Checkpoint(folder: missing.path)
        }
        let lacking = try sharded(#"{"weight_map": {"b": "one.safetensors"}}"#)
        #expect(throws: EngineError.inconsistentIndex(tensor: "b", shard: "one.safetensors")) {
            _ = try Checkpoint(folder: lacking.path)
        }
        let sound = try sharded(#"{"weight_map": {"a": "one.safetensors"}}"#)
        #expect(try Checkpoint(folder: sound.path).tensorNames == ["a"])
    }

    @Test("gives its tokenizer, and refuses one with more ids than the embedding has rows")
    func tokenizer() throws {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.checkpoint("llama-bf16"))
        #expect(try Checkpoint(folder: folder.path).tokenizer().vocabularySize == 288)
        try folder.patch("config.json", with: #"{"vocab_size": 287}"#)
        #expect(throws: EngineError.vocabularyTooLarge(tokenizer: 288, model: 287)) {
            _ = try Checkpoint(folder: folder.path).tokenizer()
        }
    }

    /// A folder with a sound configuration and one file of fp32 tensors of one dimension.
    private func scratch(tensors: [String: [UInt8]]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write("config.json", try TemporaryFolder.config())
        try folder.write("model.safetensors", Self.file(tensors))
        return folder
    }

    /// A folder with the tensor "a" in "one.safetensors" and this index.
    private func sharded(_ index: String) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write("config.json", try TemporaryFolder.config())
        try folder.write("one.safetensors", Self.file(["a": [1, 2, 3, 4]]))
        try folder.write("model.safetensors.index.json", index)
        return folder
    }

    private static func file(_ tensors: [String: [UInt8]]) -> [UInt8] {
        var data: [UInt8] = []
        var entries: [String] = []
        for (name, bytes) in tensors.sorted(by: { $0.key < $1.key }) {
            let end = data.count + bytes.count
            entries.append(SafetensorsBytes.entry(name, "F32", [bytes.count / 4], data.count, end))
            data += bytes
        }
        return SafetensorsBytes.file(header: "{" + entries.joined(separator: ",") + "}", data: data)
    }
}

extension TemporaryFolder {
    /// The bytes of a sound configuration.
    static func config() throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(fileURLWithPath: Fixtures.checkpoint("llama-fp16-tied") + "/config.json")))
    }
}
