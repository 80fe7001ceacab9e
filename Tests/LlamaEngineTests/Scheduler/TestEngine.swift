// Engines on the fixtures.

import KVFormat
import TestKit

@testable import LlamaEngine

/// An engine on a fixture's weights, with pages of 16 tokens.
func testEngine(
    _ name: String = "llama-bf16", cache: (any PrefixCache)? = nil, parallel: Int = 8, batch: Int = 64,
    pages: Int = 400
) throws -> Engine {
    let checkpoint = try Checkpoint(folder: Fixtures.checkpoint(name))
    var options = EngineOptions(pageSize: 16, maxParallel: parallel, maxBatchTokens: batch)
    let layout = try Engine.layout(checkpoint, options)
    options.kvMemory = ByteCount(UInt64(pages * ((layout.bytesPerPage + 63) / 64 * 64)))
    return try Engine(checkpoint: checkpoint, options: options, cache: cache)
}

/// A cache for the pages of `testEngine(name)`.
func testCache(_ name: String = "llama-bf16") throws -> MemoryCache {
    let checkpoint = try Checkpoint(folder: Fixtures.checkpoint(name))
    return MemoryCache(layout: try Engine.layout(checkpoint, EngineOptions(pageSize: 16)))
}

extension Engine {
    /// Runs `requests` to their ends; results by name. A refusal is an issue for whoever looks for the result.
    func results(_ requests: [GenerationRequest]) -> [String: GenerationResult] {
        var results: [String: GenerationResult] = [:]
        run(requests) { id, result in results[id] = try? result.get() }
        return results
    }

    /// The replies to `requests`, each computed with nothing beside it.
    func oneByOne(_ requests: [GenerationRequest]) -> [String: [UInt32]] {
        requests.reduce(into: [:]) { replies, request in replies[request.id] = results([request])[request.id]?.tokens }
    }
}

/// `count` requests in groups with common prefixes of lengths that are no multiples of a page.
func groupedRequests(_ count: Int, seed: UInt64, maxNewTokens: Int = 12, sampling: SamplingParameters = .greedy)
    -> [GenerationRequest]
{
    var random = SplitMix64(seed: seed)
    let prefixes = (0..<3).map { random.prompt(20 + 37 * $0) }
    return (0..<count).map { index in
        let rest = random.prompt(Int.random(in: 1...30, using: &random))
        return GenerationRequest(
            id: "\(index)", tokens: prefixes[index % 3] + rest, maxNewTokens: maxNewTokens, sampling: sampling)
    }
}
