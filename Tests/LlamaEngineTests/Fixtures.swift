// Where the fixtures lie, and what the reference implementation computed for them (tools/fixtures/make.py).

import Foundation

/// The committed fixtures.
enum Fixtures {
    /// The folder of the fixtures.
    static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

    /// Names of the tiny checkpoints; each has `expected.json` and `expected.bin`.
    static let checkpoints = [
        "llama-bf16", "llama-fp16-tied", "llama-fp32-bias", "llama-linear", "llama3-rope", "llama-sharded", "mistral",
        "qwen2", "qwen3",
    ]

    /// Names of the tiny tokenizers; each has `tokenizer.json` and `strings.json`.
    static let tokenizers = ["llama3", "qwen2", "gpt2"]

    /// The folder of a checkpoint.
    static func checkpoint(_ name: String) -> String {
        folder.appendingPathComponent("checkpoints").appendingPathComponent(name).path
    }

    /// The folder of a tokenizer.
    static func tokenizer(_ name: String) -> String {
        folder.appendingPathComponent("tokenizers").appendingPathComponent(name).path
    }

    /// The reference results of a checkpoint: one of a prompt of 17 tokens, one of 150.
    static func expected(_ name: String) throws -> [ExpectedPrompt] {
        let folder = URL(fileURLWithPath: checkpoint(name))
        let json = try Data(contentsOf: folder.appendingPathComponent("expected.json"))
        let file = try JSONDecoder().decode(ExpectedFile.self, from: json)
        let bytes = [UInt8](try Data(contentsOf: folder.appendingPathComponent("expected.bin")))
        var values = stride(from: 0, to: bytes.count, by: 4).map { offset in
            Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) })
        }[...]
        return file.prompts.map { prompt in
            let rows = prompt.positions.map { position in
                defer { values = values.dropFirst(file.vocabularySize) }
                return (position, Array(values.prefix(file.vocabularySize)))
            }
            return ExpectedPrompt(
                tokens: prompt.tokens, logits: Dictionary(uniqueKeysWithValues: rows), greedy: prompt.greedy,
                smallestMargin: prompt.smallestMargin)
        }
    }
}

/// What the reference computed for one prompt, in fp32 from the stored weights.
struct ExpectedPrompt: Sendable {
    /// The prompt.
    let tokens: [UInt32]
    /// Logits by position in the prompt; one value an id of the vocabulary.
    let logits: [Int: [Float]]
    /// The 12 tokens of the greedy continuation.
    let greedy: [UInt32]
    /// The smallest distance between the best and the second best logit in `greedy`: what an engine may be off.
    let smallestMargin: Float
}

private struct ExpectedFile: Decodable {
    struct Prompt: Decodable {
        let tokens: [UInt32]
        let positions: [Int]
        let greedy: [UInt32]
        let smallestMargin: Float
    }

    let vocabularySize: Int
    let prompts: [Prompt]
}
