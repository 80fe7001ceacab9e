import Testing
import TestKit

@testable import LlamaEngine

@Suite("A table of byte strings")
struct ByteStringTableTests {
    @Test("numbers strings as a dictionary would, whatever their bytes, while it grows")
    func model() {
        let seed = TestSeed.fixed(20_261_124, "byte strings")
        var random = RandomSource(seed: seed)
        var table = ByteStringTable(capacity: 1)
        var model: [[UInt8]: Int] = [:]
        for _ in 0..<4_000 {
            let key = (0..<Int.random(in: 0...3, using: &random)).map { _ in UInt8.random(in: 0...25, using: &random) }
            #expect(table.number(of: key.span) == model[key], "seed \(seed)")
            let expected = model[key] ?? model.count
            #expect(table.insert(key.span) == expected, "seed \(seed)")
            model[key] = expected
        }
        #expect(table.count == model.count)
        for (key, number) in model { #expect(table.number(of: key.span) == number) }
    }
}

@Suite("The word cache")
struct WordCacheTests {
    @Test("gives each word the tokens that it has alone, below and beyond its limit", arguments: [0, 3, 1_000])
    func transparent(limit: Int) throws {
        let encoder = try Tokenizer(path: Fixtures.tokenizer("gpt2") + "/tokenizer.json").parts.encoder
        var cache = WordCache(limit: limit)
        for round in 0..<3 {
            for word in ["the", " cache", "\u{4E2D}\u{6587}", "x", " reads", "the"] {
                let bytes = Array(word.utf8)
                var expected: [UInt32] = [UInt32(round)]
                var result = expected
                encoder.encode(bytes.span, into: &expected)
                cache.append(bytes.span, by: encoder, to: &result)
                #expect(result == expected)
            }
        }
    }
}
