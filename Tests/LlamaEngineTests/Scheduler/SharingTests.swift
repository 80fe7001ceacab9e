import KVFormat
import Testing
import TestKit

@testable import LlamaEngine

@Suite("Sequences with a common prefix")
struct SharingTests {
    /// `count` requests that have `common` tokens in common.
    private func requests(_ count: Int, common: Int) -> [GenerationRequest] {
        var random = SplitMix64(seed: 77)
        let prefix = random.prompt(common)
        return (0..<count).map {
            GenerationRequest(id: "\($0)", tokens: prefix + random.prompt(5 + $0), maxNewTokens: 6)
        }
    }

    @Test("wait for the first one's prefill instead of computing the prefix again")
    func waitForPrefill() throws {
        let requests = requests(5, common: 100)
        let alone = try testEngine().oneByOne(requests)
        let engine = try testEngine(batch: 32)
        let results = engine.results(requests)
        for request in requests {
            let result = try #require(results[request.id])
            #expect(result.tokens == alone[request.id])
            #expect(result.reusedTokens.shared == (request.id == "0" ? 0 : 100))
            #expect(result.reusedTokens.hot == result.reusedTokens.shared)
            #expect(try #require(result.timeToFirstToken) >= result.prefillTime)
        }
        // The waiting counts: nobody has a token before the one that everybody waited for was through the prefix.
        let waited = try #require(results["1"]?.timeToFirstToken)
        #expect(waited > (try #require(results["1"]?.prefillTime)))
    }

    @Test("hold whole pages in common")
    func pagesInCommon() throws {
        let engine = try testEngine(batch: 512)
        for request in requests(4, common: 64) { try engine.submit(request) }
        var fewest = engine.pool.freeCount
        while !engine.isIdle {
            try engine.step(onToken: { _, _ in }, onFinish: { _ in })
            fewest = min(fewest, engine.pool.freeCount)
        }
        // Four pages of prefix once, and one page for the rest of each request.
        #expect(engine.pool.capacity - fewest == 4 + 4)
        #expect(engine.pool.freeCount == engine.pool.capacity)
    }

    @Test("let others pass while they wait")
    func othersPass() throws {
        let sharers = requests(2, common: 150)
        let other = GenerationRequest(id: "other", tokens: [7, 8, 9], maxNewTokens: 1)
        let engine = try testEngine(batch: 16)
        var order: [String] = []
        engine.run(sharers + [other]) { id, _ in order.append(id) }
        #expect(order.first == "other")
    }

    @Test("are served from the cache when it has more than a running sequence")
    func cacheHasMore() throws {
        let requests = requests(2, common: 40)
        let cache = try testCache()
        _ = try testEngine(cache: cache).oneByOne(requests)
        let results = try testEngine(cache: cache).results(requests)
        #expect(results["1"]?.reusedTokens.total == requests[1].tokens.count - 1)
        #expect(results["1"]?.reusedTokens.shared == 0)
    }

    @Test("survive the end of the sequence that the pages came from")
    func donorEnds() throws {
        var requests = requests(3, common: 90)
        requests[0].maxNewTokens = 1
        requests[1].maxNewTokens = 40
        let alone = try testEngine().oneByOne(requests)
        #expect(try testEngine(batch: 48).results(requests).mapValues(\.tokens) == alone)
    }
}
