// The input of `pfx batch` and `pfx warm`: lines of JSON.

import Foundation

@testable import LlamaEngine
@testable import pfx

extension FuzzTarget {
    /// A file of lines. Whether unknown fields are refused is the first byte's choice.
    static let batch = FuzzTarget(
        name: "batch", subject: "lines of JSON, as pfx batch and pfx warm read them", longest: 1 << 13,
        seeds: {
            let lines = [
                #"{"id": "q1", "prompt": "Where are the maps?", "max_tokens": 32, "temperature": 0.5, "top_p": 0.9}"#,
                #"{"id": "q2", "tokens": [1, 15, 7], "max_new_tokens": 0, "top_k": 3, "seed": 18446744073709551615}"#,
                #"{"id": "q3", "prompt": "a", "stop": ["b", "c"], "add_special_tokens": false, "n": 1, "logprobs": 0}"#,
                #"{"custom_id": "x", "body": {"messages": []}}"#, #"{"id": "q4", "prompt": "\u00e9\ud83d\ude42"}"#,
                "", "[1, 2]", #"{"id": null, "prompt": 7}"#,
            ]
            return [lines.joined(separator: "\n") + "\n"].map { [0] + Array($0.utf8) }
                + lines.map { [1] + Array($0.utf8) }
        },
        run: { input in
            let isStrict = input.byte() & 1 != 0
            let path = Scratch.file("input.jsonl", input.rest())
            var warm = WarmInput(PromptEncoder(tokenizerOfBatch, addsSpecialTokens: true), isStrict: isStrict)
            do {
                try warm.forEach(of: path) { name, tokens in
                    _ = Reveal.escaped(name)
                    if case .success(let ids) = tokens { input.require(!ids.isEmpty, "a prompt has tokens") }
                }
                _ = warm.ignored.text
                try readRequests(path, input)
            } catch {
                input.require(error is CommandFailure, "a file that can be read is read to its end")
            }
        })

    private static let tokenizerOfBatch: TokenizerChoice = {
        let path = "Tests/LlamaEngineTests/Fixtures/checkpoints/qwen2/tokenizer.json"
        guard let tokenizer = try? Tokenizer(path: path) else { preconditionFailure("\(path) is a tokenizer") }
        return .available(tokenizer)
    }()

    private static func readRequests(_ path: String, _ input: FuzzInput) throws {
        let reader = try LineReader(path: path, longest: 2048)
        while case let next = try reader.next(waiting: 0), next != .end {
            guard case .line(_, let bytes) = next, let fields = try? PromptFields(json: bytes) else { continue }
            _ = try? SamplingParameters(
                temperature: fields.temperature ?? 0, topK: fields.topK, topP: fields.topP ?? 1, seed: fields.seed ?? 0)
            input.require((fields.maxNewTokens ?? 0) >= 0, "a length is not negative")
            input.plant(fields.topK.map { $0 != 3 } == true)
        }
    }
}
