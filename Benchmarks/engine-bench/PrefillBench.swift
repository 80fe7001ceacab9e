// The engine's prefill beside plain products of the same matrices.

import KVFormat
import LlamaEngine

/// What was measured of both.
func prefillReport(_ checkpoint: Checkpoint, _ arguments: Arguments) throws -> [String: Any] {
    let count = min(arguments.tokens, checkpoint.config.maxPositions - 1)
    let options = EngineOptions(kvElement: arguments.kv, threads: arguments.threads, maxParallel: 1)
    let engine = try Engine(checkpoint: checkpoint, options: options)
    let products = PlainProducts(checkpoint.config, tokens: count, threads: arguments.threads)

    // The rounds alternate, so that both see the same machine; the best of each counts.
    var best = (engine: Measure.worst, products: Measure.worst, attention: Measure.worst)
    for round in 0..<arguments.rounds {
        let tokens = (0..<count).map { UInt32(($0 * 31 + round * 17) % checkpoint.config.vocabularySize) }
        best.engine.improve(
            Measure.of { engine.run([GenerationRequest(id: "", tokens: tokens, maxNewTokens: 1)]) { _, _ in } })
        best.products.improve(Measure.of { products.projections() })
        best.attention.improve(Measure.of { products.attention() })
    }
    let both = best.products + best.attention
    return [
        "tokens": count, "threads": arguments.threads, "kernels": engine.kernelBuild, "openblas": OpenBLAS.coreName,
        "kv": engine.layout.element?.description ?? "several",
        "engine_tokens_per_second": best.engine.rate(count),
        "sgemm_tokens_per_second": best.products.rate(count),
        "sgemm_with_attention_tokens_per_second": both.rate(count),
        "ratio": best.products.seconds / best.engine.seconds,
        "ratio_with_attention": both.seconds / best.engine.seconds,
        "cpu_ratio": best.products.cpuSeconds / best.engine.cpuSeconds,
        "cpu_ratio_with_attention": both.cpuSeconds / best.engine.cpuSeconds,
    ]
}
