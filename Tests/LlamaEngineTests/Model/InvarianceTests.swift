import KVFormat
import Testing
import TestKit

@testable import LlamaEngine

/// What is computed for a token may not depend on anything but the tokens up to it: all comparisons are of bits.
@Suite("A token's logits")
struct InvarianceTests {
    private static let names = ["llama-bf16", "qwen2", "qwen3"]

    @Test("are the same wherever the prompt is cut into runs", arguments: names, [KVElement.bf16, .fp32])
    func cutAnywhere(name: String, element: KVElement) throws {
        let model = try TestModel(name, element: element)
        var random = SplitMix64(seed: 7)
        let tokens = random.prompt(75)
        let whole = model.logits(tokens)
        for cut in 1..<tokens.count { #expect(model.logits(tokens, cuts: [cut]) == whole, "cut at \(cut)") }
        #expect(model.logits(tokens, cuts: Array(1..<tokens.count)) == whole)
    }

    @Test("are the same beside other sequences, at any row", arguments: names, 1...6)
    func besideOthers(name: String, seed: UInt64) throws {
        let model = try TestModel(name, element: .bf16)
        var random = SplitMix64(seed: seed)
        let prompts = (0..<7).map { _ in random.prompt(Int.random(in: 1...70, using: &random)) }
        let alone = prompts.map { model.logits($0) }
        var sequences = prompts.map { TestSequence(model, $0) }
        sequences.shuffle(using: &random)
        var together = model.forward(sequences.map { $0.segment(0..<$0.tokens.count) })[...]
        for sequence in sequences {
            let index = try #require(prompts.firstIndex(of: sequence.tokens))
            #expect(Array(together.prefix(sequence.tokens.count)) == alone[index], "seed \(seed), prompt \(index)")
            together = together.dropFirst(sequence.tokens.count)
        }
    }

    @Test("are the same in random mixtures of old and new tokens", arguments: 1...6)
    func mixedRuns(seed: UInt64) throws {
        let model = try TestModel("mistral", element: .fp16, pageSize: 32)
        var random = SplitMix64(seed: seed)
        let prompts = (0..<5).map { _ in random.prompt(Int.random(in: 2...120, using: &random)) }
        let alone = prompts.map { model.logits($0) }
        let sequences = prompts.map { TestSequence(model, $0) }
        var done = prompts.map { _ in 0 }
        while zip(done, prompts).contains(where: { $0 < $1.count }) {
            var parts: [(Int, Range<Int>)] = []
            for index in prompts.indices where Bool.random(using: &random) && done[index] < prompts[index].count {
                let end = Int.random(in: done[index] + 1...prompts[index].count, using: &random)
                parts.append((index, done[index]..<end))
                done[index] = end
            }
            guard !parts.isEmpty else { continue }
            var result = model.forward(parts.map { sequences[$0.0].segment($0.1) })[...]
            for (index, range) in parts {
                #expect(Array(result.prefix(range.count)) == Array(alone[index][range]), "seed \(seed)")
                result = result.dropFirst(range.count)
            }
        }
    }

    @Test("are the same on one thread and on several", arguments: [1, 3, 4])
    func threads(count: Int) throws {
        var random = SplitMix64(seed: 3)
        let tokens = random.prompt(400)
        let two = try TestModel("llama3-rope", element: .bf16, threads: 2).logits(tokens)
        #expect(try TestModel("llama3-rope", element: .bf16, threads: count).logits(tokens) == two)
    }

    @Test("are the same on copied pages, also when the copy ends inside a page")
    func copiedPages() throws {
        let model = try TestModel("llama-bf16", element: .bf16)
        var random = SplitMix64(seed: 5)
        let tokens = random.prompt(60)
        let whole = model.logits(tokens)
        for reused in [1, 15, 16, 17, 40, 59] {
            let original = TestSequence(model, tokens)
            _ = model.forward([original.segment(0..<tokens.count)])
            let sequence = TestSequence(model, tokens)
            for (index, page) in sequence.pages.enumerated() where index * 16 < reused {
                page.copy(tokens: min(16, reused - index * 16), from: original.pages[index])
            }
            #expect(model.forward([sequence.segment(reused..<tokens.count)]) == Array(whole[reused...]))
        }
    }
}
