// Outputs that are infinite or not a number: the request ends with an error, and its KV stays out of the cache.

import Testing

@testable import LlamaEngine

@Suite("An output that is not finite")
struct FiniteTests {
    private static let nan: [UInt8] = [0xC0, 0x7F]

    /// An engine on weights in which one element is not a number: the first of `row` of tensor `name`.
    private static func engine(_ name: String, row: Int, cache: MemoryCache, batch: Int = 64) throws -> Engine {
        try WeightsTests.engine("llama-bf16", cache: cache, batch: batch) { tensors in
            let width = (tensors[name]?.shape.dropFirst().first ?? 1) * 2
            tensors[name]?.bytes.replaceSubrange(row * width..<row * width + 2, with: nan)
        }
    }

    private static func outcomes(_ engine: Engine, _ requests: [GenerationRequest]) -> [String: Result<
        [UInt32], EngineError
    >] {
        var outcomes: [String: Result<[UInt32], EngineError>] = [:]
        engine.run(requests) { outcomes[$0] = $1.map(\.tokens) }
        return outcomes
    }

    @Test(
        "ends every request with an error when a weight of every token is broken, and nothing is stored",
        arguments: [
            "model.layers.0.self_attn.k_proj.weight", "model.layers.0.self_attn.v_proj.weight",
            "model.layers.1.mlp.down_proj.weight", "model.norm.weight",
        ])
    func brokenWeight(name: String) throws {
        let cache = try testCache()
        // Prompts of several passes: what is not a number is found long before there are logits.
        let engine = try Self.engine(name, row: 0, cache: cache, batch: 20)
        let requests = groupedRequests(5, seed: 3)
        let outcomes = Self.outcomes(engine, requests)
        for request in requests {
            #expect(outcomes[request.id] == .failure(.outputNotFinite(request: request.id)))
        }
        #expect(cache.insertedTokens == 0)
        #expect(engine.isIdle)
        #expect(engine.pool.freeCount == engine.pool.capacity)
        #expect(throws: EngineError.outputNotFinite(request: "")) { _ = try engine.prefill([1, 2, 3]) }
        #expect(cache.insertedTokens == 0)
    }

    @Test("ends the requests that met it, and no other, which all reply as they do alone")
    func brokenToken() throws {
        let cache = try testCache()
        let engine = try Self.engine("model.embed_tokens.weight", row: 281, cache: cache)
        var requests = groupedRequests(8, seed: 6)
        requests[2].tokens.append(281)
        requests[5].tokens.insert(281, at: 0)
        let alone = try testEngine().oneByOne(
            requests.enumerated().filter { $0.offset != 2 && $0.offset != 5 }.map(\.element))
        for (id, outcome) in Self.outcomes(engine, requests) {
            switch outcome {
            case .success(let reply): #expect(reply == alone[id])
            case .failure(let error):
                #expect(error == .outputNotFinite(request: id))
                #expect(id == "2" || id == "5")
            }
        }
        #expect(!cache.contents.keys.contains { $0.contains(281) })
        #expect(engine.pool.freeCount == engine.pool.capacity)
    }

    @Test("is found in the logits alone, when only the projection onto the vocabulary is broken")
    func brokenHead() throws {
        let engine = try Self.engine("lm_head.weight", row: 5, cache: try testCache())
        let request = GenerationRequest(id: "a", tokens: [1, 2, 3], maxNewTokens: 4)
        #expect(Self.outcomes(engine, [request])["a"] == .failure(.outputNotFinite(request: "a")))
    }

    @Test("is thrown by a step, which leaves the other requests to the next step")
    func steps() throws {
        let engine = try Self.engine("model.embed_tokens.weight", row: 281, cache: try testCache())
        try engine.submit(GenerationRequest(id: "bad", tokens: [281], maxNewTokens: 2))
        try engine.submit(GenerationRequest(id: "good", tokens: [1, 2], maxNewTokens: 2))
        var finished: [String] = []
        #expect(throws: EngineError.outputNotFinite(request: "bad")) {
            try engine.step(onToken: { _, _ in }, onFinish: { finished.append($0.id) })
        }
        while !engine.isIdle { try engine.step(onToken: { _, _ in }, onFinish: { finished.append($0.id) }) }
        #expect(finished == ["good"])
    }
}
