import KVFormat
import Testing
import TestKit

@testable import LlamaEngine

@Suite("Continuous batching")
struct BatchingTests {
    @Test("gives the reference's greedy continuation", arguments: Fixtures.checkpoints)
    func greedyContinuation(name: String) throws {
        let checkpoint = try Checkpoint(folder: Fixtures.checkpoint(name))
        let engine = try Engine(checkpoint: checkpoint, options: EngineOptions(kvElement: .fp32, pageSize: 16))
        let prompts = try Fixtures.expected(name)
        let requests = prompts.enumerated().map {
            GenerationRequest(id: "\($0)", tokens: $1.tokens, maxNewTokens: $1.greedy.count)
        }
        let results = engine.results(requests)
        for (index, prompt) in prompts.enumerated() { #expect(results["\(index)"]?.tokens == prompt.greedy) }
    }

    @Test("changes no reply: many prompts at once give what each gives alone", arguments: [1, 3, 8], [8, 23, 512])
    func manyAtOnce(parallel: Int, batch: Int) throws {
        let requests = groupedRequests(20, seed: 11)
        let alone = try testEngine().oneByOne(requests)
        let together = try testEngine(parallel: parallel, batch: max(parallel, batch)).results(requests)
        for request in requests {
            let result = try #require(together[request.id])
            #expect(result.tokens == alone[request.id])
            #expect(result.tokens.count == 12)
            #expect(result.finishReason == .length)
            #expect(result.promptTokens == request.tokens.count)
        }
    }

    @Test("changes no sampled reply; a seed repeats it and another seed changes it")
    func seeds() throws {
        func requests(_ seed: UInt64) throws -> [GenerationRequest] {
            let sampling = try SamplingParameters(temperature: 1.5, topK: 40, topP: 0.95, seed: seed)
            return groupedRequests(6, seed: 2, sampling: sampling)
        }
        let alone = try testEngine().oneByOne(try requests(1))
        #expect(try testEngine().results(try requests(1)).mapValues(\.tokens) == alone)
        #expect(try testEngine().results(try requests(2)).mapValues(\.tokens) != alone)
    }

    @Test("streams every token in order, before the result")
    func streaming() throws {
        let engine = try testEngine()
        var streamed: [String: [UInt32]] = [:]
        var finished = 0
        engine.run(groupedRequests(5, seed: 4), onToken: { streamed[$0, default: []].append($1) }) { id, result in
            finished += 1
            #expect((try? result.get())?.tokens == streamed[id])
        }
        #expect(finished == 5)
        #expect(engine.isIdle)
    }

    @Test("ends a reply at a stop token, which is not part of it")
    func stopTokens() throws {
        let engine = try testEngine()
        var request = groupedRequests(1, seed: 9)[0]
        let free = try #require(engine.results([request])["0"]?.tokens)
        let stop = try #require(free.first { $0 != free[0] })
        request.stopTokens = [stop]
        let result = try #require(engine.results([request])["0"])
        #expect(result.finishReason == .stop)
        #expect(result.tokens == Array(free.prefix { $0 != stop }))
    }

    @Test("ends a reply where the model has no more positions")
    func contextFull() throws {
        let engine = try testEngine()
        var random = SplitMix64(seed: 1)
        let prompt = random.prompt(engine.config.maxPositions - 5)
        let result = try #require(
            engine.results([GenerationRequest(id: "long", tokens: prompt, maxNewTokens: 100)])["long"])
        #expect(result.finishReason == .contextFull)
        #expect(result.tokens.count == 5)
    }

    @Test("takes requests in while others run, and gives their pages back")
    func lateRequests() throws {
        let requests = groupedRequests(9, seed: 21)
        let alone = try testEngine().oneByOne(requests)
        let engine = try testEngine(parallel: 4)
        var left = requests[...]
        var replies: [String: [UInt32]] = [:]
        while let next = left.popFirst() {
            try engine.submit(next)
            for _ in 0..<3 { try engine.step(onToken: { _, _ in }, onFinish: { replies[$0.id] = $0.tokens }) }
        }
        while !engine.isIdle { try engine.step(onToken: { _, _ in }, onFinish: { replies[$0.id] = $0.tokens }) }
        #expect(replies == alone)
        #expect(engine.pool.freeCount == engine.pool.capacity)
    }

    @Test("waits for memory instead of failing: requests that do not fit at once run one after the other")
    func memoryPressure() throws {
        let requests = groupedRequests(12, seed: 5)
        let alone = try testEngine().oneByOne(requests)
        let engine = try testEngine(pages: 9)
        #expect(engine.results(requests).mapValues(\.tokens) == alone)
        #expect(engine.pool.freeCount == 9)
    }

    @Test("refuses what can never run, by name, and continues with the rest")
    func refusals() throws {
        let engine = try testEngine(pages: 4)
        let good = GenerationRequest(id: "good", tokens: [1, 2, 3], maxNewTokens: 2)
        let bad: [(GenerationRequest, EngineError)] = [
            (GenerationRequest(id: "empty", tokens: [], maxNewTokens: 1), .promptEmpty),
            (
                GenerationRequest(id: "word", tokens: [1, 288], maxNewTokens: 1),
                .tokenOutOfVocabulary(index: 1, vocabulary: 288)
            ),
            (
                GenerationRequest(id: "long", tokens: Array(repeating: 1, count: 512), maxNewTokens: 1),
                .promptTooLong(tokens: 513, limit: 512)
            ),
            (
                GenerationRequest(id: "big", tokens: Array(repeating: 1, count: 65), maxNewTokens: 1),
                .kvMemoryTooSmall(
                    needed: ByteCount(UInt64(5 * engine.layout.bytesPerPage)), available: engine.options.kvMemory)
            ),
        ]
        var refused: [String: EngineError] = [:]
        var reply: [UInt32] = []
        engine.run(bad.map(\.0) + [good]) { id, result in
            switch result {
            case .success(let result): reply = result.tokens
            case .failure(let error): refused[id] = error
            }
        }
        for (request, error) in bad { #expect(refused[request.id] == error) }
        #expect(refused.count == bad.count)
        #expect(reply.count == 2)
    }

    @Test("ends a cancelled request, waiting or running, and no other")
    func cancellation() throws {
        let requests = groupedRequests(4, seed: 8)
        let alone = try testEngine().oneByOne(requests)
        let engine = try testEngine(parallel: 2)
        var results: [String: GenerationResult] = [:]
        var seen = 0
        engine.run(
            requests,
            onToken: { id, _ in
                seen += id == "0" ? 1 : 0
                if seen == 3 {
                    engine.cancel("0")
                    engine.cancel("3")
                    engine.cancel("unknown")
                }
            },
            onFinish: { results[$0] = try? $1.get() })
        #expect(results["0"]?.finishReason == .cancelled)
        #expect(results["0"]?.tokens == Array(try #require(alone["0"]).prefix(3)))
        #expect(results["3"]?.finishReason == .cancelled)
        #expect(results["3"]?.tokens == [])
        #expect(results["1"]?.tokens == alone["1"])
        #expect(results["2"]?.tokens == alone["2"])
        #expect(engine.pool.freeCount == engine.pool.capacity)
    }
}
