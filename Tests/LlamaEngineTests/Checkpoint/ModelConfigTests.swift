import Testing
import TestKit

@testable import LlamaEngine

@Suite("A model's configuration")
struct ModelConfigTests {
    @Test("is read from every supported family")
    func families() throws {
        func config(_ name: String) throws -> ModelConfig { try ModelConfig(folder: Fixtures.checkpoint(name)) }
        let llama = try config("llama-bf16")
        #expect(llama.architecture == .llama)
        #expect([llama.hiddenSize, llama.layerCount, llama.headCount, llama.kvHeadCount] == [32, 2, 4, 2])
        #expect([llama.headDimension, llama.intermediateSize, llama.vocabularySize] == [8, 64, 288])
        #expect(llama.maxPositions == 512)
        #expect(llama.rmsNormEpsilon == 1e-5)
        #expect(llama.rope == RopeParameters(theta: 500_000))
        #expect(!llama.tiesEmbeddings && !llama.hasAttentionBias && !llama.hasAttentionOutputBias)
        #expect(!llama.normalizesQueryAndKey)
        #expect(try config("llama-fp16-tied").tiesEmbeddings)
        let biased = try config("llama-fp32-bias")
        #expect(biased.hasAttentionBias && biased.hasAttentionOutputBias)
        #expect(try config("mistral").architecture == .mistral)
        let qwen2 = try config("qwen2")
        #expect(qwen2.architecture == .qwen2)
        #expect(qwen2.hasAttentionBias && !qwen2.hasAttentionOutputBias && qwen2.tiesEmbeddings)
        let qwen3 = try config("qwen3")
        #expect(qwen3.architecture == .qwen3)
        #expect(qwen3.normalizesQueryAndKey && qwen3.headDimension == 16)
    }

    @Test("reads rotary parameters in both spellings")
    func rope() throws {
        let linear = try ModelConfig(folder: Fixtures.checkpoint("llama-linear")).rope
        #expect(linear == RopeParameters(theta: 10_000, scaling: .linear(factor: 4)))
        let llama3 = try ModelConfig(folder: Fixtures.checkpoint("llama3-rope")).rope
        let scaling = RopeParameters.Scaling.llama3(
            factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalMaxPositions: 128)
        #expect(llama3 == RopeParameters(theta: 10_000, scaling: scaling))
        #expect(try patched(#"{"rope_theta": "(remove)"}"#).rope.theta == 10_000)
        #expect(try patched(#"{"rope_scaling": {"type": "default"}}"#).rope.scaling == .none)
    }

    @Test("takes end tokens from the generation settings before its own, as one or as a list")
    func endTokens() throws {
        let both = try ModelConfig(folder: Fixtures.checkpoint("llama-bf16"))
        #expect(both.eosTokenIDs == [285, 286])
        #expect(both.bosTokenID == 284)
        #expect(try ModelConfig(folder: Fixtures.checkpoint("qwen3")).eosTokenIDs == [285])
        let none = try patched(#"{"eos_token_id": null, "bos_token_id": "(remove)"}"#)
        #expect(none.eosTokenIDs.isEmpty)
        #expect(none.bosTokenID == nil)
    }

    @Test("fills in only what every library fills in the same way")
    func defaults() throws {
        let config = try patched(
            #"{"num_key_value_heads": "(remove)", "rms_norm_eps": "(remove)", "hidden_act": "(remove)"}"#)
        #expect(config.kvHeadCount == config.headCount)
        #expect(config.rmsNormEpsilon == 1e-6)
        #expect(try patched(#"{"architectures": "(remove)"}"#).architecture == .llama)
    }

    @Test("may have fields of other families, as long as their values change nothing")
    func neutralFields() throws {
        let config = try patched(
            #"{"num_local_experts": 0, "logits_scaling": 1.0, "clip_qkv": null, "final_logit_softcapping": null}"#)
        #expect(config == (try patched("{}")))
    }

    @Test("may have heads that do not add up to the hidden size")
    func explicitHeadDimension() throws {
        #expect(try patched(#"{"head_dim": 6, "num_attention_heads": 4}"#).headDimension == 6)
    }

    @Test("has a window only when it is narrower than the positions")
    func slidingWindow() throws {
        #expect(try patched(#"{"sliding_window": 512}"#, of: "mistral").maxPositions == 512)
        #expect(try patched(#"{"sliding_window": "(remove)"}"#, of: "mistral").maxPositions == 512)
        #expect(throws: EngineError.unsupportedFeature("a sliding window of 4096 tokens (sliding_window)")) {
            _ = try patched(
                #"{"sliding_window": "(remove)", "max_position_embeddings": 32768}"#, of: "mistral")
        }
        #expect(throws: EngineError.unsupportedFeature("a sliding window of 256 tokens (sliding_window)")) {
            _ = try patched(#"{"sliding_window": 256}"#, of: "mistral")
        }
    }

    @Test(
        "refuses what is not computed, by name",
        arguments: [
            (#"{"architectures": ["GPT2LMHeadModel"]}"#, EngineError.unknownArchitecture("GPT2LMHeadModel")),
            (#"{"architectures": "(remove)", "model_type": "gpt2"}"#, .unknownArchitecture("gpt2")),
            (#"{"quantization_config": {"quant_method": "awq"}}"#, .unsupportedFeature("quantised weights (awq)")),
            (#"{"quantization_config": {}}"#, .unsupportedFeature("quantised weights (unnamed)")),
            (#"{"hidden_act": "gelu"}"#, .unsupportedFeature("the activation gelu")),
            (#"{"mlp_bias": true}"#, .unsupportedFeature("a bias in the feed-forward layers (mlp_bias)")),
            (#"{"use_sliding_window": true}"#, .unsupportedFeature("a sliding window (use_sliding_window)")),
            (
                #"{"partial_rotary_factor": 0.5}"#,
                .unsupportedFeature("rotation of a part of each head (partial_rotary_factor)")
            ),
            (
                #"{"rope_parameters": {"rope_theta": 1, "partial_rotary_factor": 0.5}}"#,
                .unsupportedFeature("rotation of a part of each head (partial_rotary_factor)")
            ),
            (
                #"{"layer_types": ["full_attention", "sliding_attention"]}"#,
                .unsupportedFeature("a layer of type sliding_attention")
            ),
            (
                #"{"rope_parameters": {"full_attention": {"rope_theta": 1}}}"#,
                .unsupportedFeature("rotary parameters by the type of layer (rope_parameters)")
            ),
            (#"{"num_local_experts": 8}"#, .unsupportedFeature("a mixture of experts (num_local_experts)")),
            (#"{"num_experts": 8}"#, .unsupportedFeature("a mixture of experts (num_experts)")),
            (#"{"final_logit_softcapping": 30}"#, .unsupportedFeature("capped logits (final_logit_softcapping)")),
            (#"{"embedding_multiplier": 12.0}"#, .unsupportedFeature("a scaled embedding (embedding_multiplier)")),
            (
                #"{"rope_scaling": {"rope_type": "yarn", "factor": 4}}"#,
                .unsupportedFeature("the rotary scaling yarn")
            ),
        ])
    func refusesFeatures(fields: String, error: EngineError) {
        #expect(throws: error) { _ = try patched(fields) }
    }

    @Test(
        "refuses fields that are missing, of the wrong type or out of bounds",
        arguments: [
            (#"{"hidden_size": "(remove)"}"#, "hidden_size", "is missing"),
            (#"{"hidden_size": 0}"#, "hidden_size", "is not a whole number from 1 to 131072"),
            (#"{"hidden_size": 31}"#, "hidden_size", "is not divisible by the 4 attention heads"),
            (#"{"num_hidden_layers": 2.5}"#, "num_hidden_layers", "is not a whole number from 1 to 1024"),
            (#"{"num_hidden_layers": -1}"#, "num_hidden_layers", "is not a whole number from 1 to 1024"),
            (#"{"vocab_size": 1e300}"#, "vocab_size", "is not a whole number from 1 to 4194304"),
            (#"{"vocab_size": "288"}"#, "vocab_size", "is not a whole number from 1 to 4194304"),
            (#"{"num_key_value_heads": 3}"#, "num_key_value_heads", "does not divide the 4 attention heads"),
            (#"{"num_attention_heads": 32}"#, "head_dim", "is 1, but rotation needs an even number of elements"),
            (#"{"head_dim": 7}"#, "head_dim", "is 7, but rotation needs an even number of elements"),
            (#"{"rms_norm_eps": 0}"#, "rms_norm_eps", "is not a positive number up to 1.0"),
            (#"{"rope_theta": -1}"#, "rope_theta", "is not a positive number up to 1e+12"),
            (#"{"tie_word_embeddings": 1}"#, "tie_word_embeddings", "is neither true nor false"),
            (#"{"architectures": "(remove)", "model_type": 7}"#, "model_type", "is not a string"),
            (#"{"architectures": [], "model_type": "(remove)"}"#, "architectures", "is missing"),
            (#"{"rope_scaling": 4}"#, "rope_scaling", "is not an object"),
            (#"{"rope_scaling": {"factor": 4}}"#, "rope_scaling.rope_type", "is missing beside a factor"),
            (#"{"rope_scaling": {"type": "linear"}}"#, "rope_scaling.factor", "is missing"),
            (
                #"{"rope_scaling": {"type": "llama3", "low_freq_factor": 4, "high_freq_factor": 4}}"#,
                "rope_scaling.high_freq_factor", "is not above low_freq_factor"
            ),
            (
                #"{"rope_scaling": {"type": "llama3", "factor": 2, "low_freq_factor": 1, "high_freq_factor": 4}}"#,
                "rope_scaling.original_max_position_embeddings", "is missing"
            ),
            (
                #"{"eos_token_id": 288}"#, "eos_token_id",
                "is neither a token id nor a list of them below the vocabulary size"
            ),
            (
                #"{"bos_token_id": [-1]}"#, "bos_token_id",
                "is neither a token id nor a list of them below the vocabulary size"
            ),
        ])
    func refusesFields(fields: String, field: String, reason: String) {
        #expect(throws: EngineError.invalidField(file: "config.json", field: field, reason: reason)) {
            _ = try patched(fields)
        }
    }

    @Test("of Qwen3 must give the size of its heads, and of all but Llama the KV heads")
    func noGuesses() {
        #expect(throws: EngineError.invalidField(file: "config.json", field: "head_dim", reason: "is missing")) {
            _ = try patched(#"{"head_dim": "(remove)"}"#, of: "qwen3")
        }
        let error = EngineError.invalidField(file: "config.json", field: "num_key_value_heads", reason: "is missing")
        #expect(throws: error) { _ = try patched(#"{"num_key_value_heads": "(remove)"}"#, of: "qwen2") }
    }

    @Test(
        "must be one JSON object",
        arguments: [
            ("", "it ends too early"), ("[]", "it is something else"), ("{", "it ends too early"),
            ("7", "it is something else"), ("{\"a\": 1}}", "line 1 is not JSON near column 9"),
        ])
    func refusesOtherText(text: String, reason: String) throws {
        let folder = try TemporaryFolder()
        try folder.write("config.json", text)
        let error = EngineError.notJSON(file: "config.json", reason: reason)
        #expect(throws: error) { _ = try ModelConfig(folder: folder.path) }
    }

    @Test("must be there, and be a file")
    func refusesNothing() throws {
        let folder = try TemporaryFolder()
        #expect(throws: EngineError.missingFile(path: folder.path("config.json"))) {
            _ = try ModelConfig(folder: folder.path)
        }
        #expect(throws: EngineError.system(call: "open", path: "/dev/null", errno: 22)) {
            _ = try MappedFile(path: "/dev/null")
        }
    }

    /// The configuration of a fixture (without its generation settings) with some fields replaced.
    private func patched(_ fields: String, of name: String = "llama-fp16-tied") throws -> ModelConfig {
        let folder = try TemporaryFolder()
        try folder.copy(Fixtures.checkpoint(name))
        try folder.patch("config.json", with: fields)
        return try ModelConfig(folder: folder.path)
    }
}
