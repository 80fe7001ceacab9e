import KVFormat
import Testing
import TestKit

@testable import LlamaEngine

@Suite("Reuse of KV")
struct ReuseTests {
    @Test("changes no greedy reply of 50 prompts: without a cache, filling it, from it, and beside others")
    func identicalReplies() throws {
        let requests = groupedRequests(50, seed: 31)
        let without = try testEngine().oneByOne(requests)
        let cache = try testCache()
        #expect(try testEngine(cache: cache).oneByOne(requests) == without)
        let stored = cache.insertedTokens
        #expect(try testEngine(cache: cache).oneByOne(requests) == without)
        #expect(cache.insertedTokens == stored, "a second process computes nothing new")
        #expect(try testEngine(cache: cache, batch: 512).results(requests).mapValues(\.tokens) == without)
    }

    @Test("leaves the same bytes in the cache in every order of work", arguments: ["qwen2", "qwen3", "mistral"])
    func identicalBytes(name: String) throws {
        let requests = groupedRequests(12, seed: 17)
        let one = try testCache(name)
        let many = try testCache(name)
        _ = try testEngine(name, cache: one, parallel: 1).oneByOne(requests)
        _ = try testEngine(name, cache: many, batch: 19).results(requests.reversed())
        #expect(one.contents == many.contents)
        #expect(one.tokenCount > 0)
    }

    @Test("ends anywhere, also inside a page, and leaves one token to compute", arguments: [1, 15, 16, 17, 33, 49])
    func reuseInsideAPage(stored: Int) throws {
        var random = SplitMix64(seed: UInt64(stored))
        let prompt = random.prompt(50)
        let request = GenerationRequest(id: "a", tokens: prompt, maxNewTokens: 8)
        let expected = try testEngine().oneByOne([request])
        let cache = try testCache()
        _ = try testEngine(cache: cache).prefill(Array(prompt[..<stored]))
        #expect(cache.tokenCount == stored)
        let result = try #require(testEngine(cache: cache).results([request])["a"])
        #expect(result.tokens == expected["a"])
        #expect(result.reusedTokens.total == stored)
        #expect(result.reusedTokens.hot == stored / 2)
        #expect(result.reusedTokens.cold == stored - stored / 2)
        #expect(result.reusedTokens.shared == 0)
    }

    @Test("of a whole stored prompt computes just its last token")
    func wholePrompt() throws {
        var random = SplitMix64(seed: 2)
        let request = GenerationRequest(id: "a", tokens: random.prompt(40), maxNewTokens: 4)
        let cache = try testCache()
        let first = try #require(testEngine(cache: cache).results([request])["a"])
        let again = try #require(testEngine(cache: cache).results([request])["a"])
        #expect(first.reusedTokens.total == 0)
        #expect(again.reusedTokens.total == 39)
        #expect(again.tokens == first.tokens)
    }

    @Test("covers a reply in the next turn, but for its last token")
    func nextTurn() throws {
        var random = SplitMix64(seed: 6)
        let cache = try testCache()
        let engine = try testEngine(cache: cache)
        let first = GenerationRequest(id: "1", tokens: random.prompt(21), maxNewTokens: 30)
        let reply = try #require(engine.results([first])["1"]).tokens
        let second = GenerationRequest(id: "2", tokens: first.tokens + reply + random.prompt(9), maxNewTokens: 5)
        let result = try #require(engine.results([second])["2"])
        #expect(result.reusedTokens.total == 21 + 30 - 1)
        #expect(try testEngine().oneByOne([second])["2"] == result.tokens)
    }

    @Test("that yields less than announced is made up for by computing")
    func damagedPage() throws {
        let requests = groupedRequests(6, seed: 3)
        let without = try testEngine().oneByOne(requests)
        let cache = try testCache()
        _ = try testEngine(cache: cache).oneByOne(requests)
        cache.losesTokensFrom = 17
        let results = try testEngine(cache: cache, parallel: 1).results(requests)
        #expect(results.mapValues(\.tokens) == without)
        #expect(results.values.allSatisfy { $0.reusedTokens.total == 17 })
    }

    @Test("by prefill stores a prompt and generates nothing")
    func prefill() throws {
        var random = SplitMix64(seed: 12)
        let prompt = random.prompt(75)
        let cache = try testCache()
        let engine = try testEngine(cache: cache)
        let result = try engine.prefill(prompt)
        #expect(result.tokens.isEmpty)
        #expect(result.timeToFirstToken == nil)
        #expect(cache.tokenCount == 75)
        #expect(cache.recordedTokens == 75)
        #expect(try engine.prefill(prompt).reusedTokens.total == 75)
        #expect(throws: EngineError.promptEmpty) { try engine.prefill([]) }
    }
}
