// engine-bench: how fast the engine computes a prompt, beside the same matrix products done as plain sgemm calls.
//
//     engine-bench [--model DIR] [--tokens N] [--rounds N] [--threads N] [--kv bf16|fp16|fp32]
//
// Without a model it makes one with random weights (hidden 256, 6 layers). Prints one JSON object.

import Foundation
import KVFormat
import LlamaEngine

OpenBLAS.reopenWithKernelsForThisCPU()
let arguments = Arguments(CommandLine.arguments)
let folder = try arguments.model ?? RandomCheckpoint.write()
defer { if arguments.model == nil { try? FileManager.default.removeItem(atPath: folder) } }

let checkpoint = try Checkpoint(folder: folder)
let count = min(arguments.tokens, checkpoint.config.maxPositions - 1)
let options = EngineOptions(kvElement: arguments.kvElement, threads: arguments.threads, maxParallel: 1)
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
let report: [String: Any] = [
    "tokens": count,
    "threads": arguments.threads,
    "kernels": engine.kernelBuild,
    "openblas": OpenBLAS.coreName,
    "kv": "\(engine.layout.element)",
    "engine_tokens_per_second": best.engine.rate(count),
    "sgemm_tokens_per_second": best.products.rate(count),
    "sgemm_with_attention_tokens_per_second": both.rate(count),
    "ratio": best.products.seconds / best.engine.seconds,
    "ratio_with_attention": both.seconds / best.engine.seconds,
    "cpu_ratio": best.products.cpuSeconds / best.engine.cpuSeconds,
    "cpu_ratio_with_attention": both.cpuSeconds / best.engine.cpuSeconds,
]
let json = try JSONSerialization.data(withJSONObject: report, options: [.prettyPrinted, .sortedKeys])
print(String(decoding: json, as: UTF8.self))
