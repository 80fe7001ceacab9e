// The matrix products of a prompt, as plain sgemm calls: each weight matrix once over all tokens, no other work.

import COpenBLAS
import LlamaEngine

/// A prompt's products with memory of their own.
final class PlainProducts {
    private let config: ModelConfig
    private let tokens: Int
    private var a: [Float]
    private var b: [Float]
    private var c: [Float]
    /// Queries that go through the keys together, as in the engine.
    private static let queryBlock = 128

    init(_ config: ModelConfig, tokens: Int, threads: Int) {
        self.config = config
        self.tokens = tokens
        let queries = config.headCount * config.headDimension
        let widest = max(2 * config.intermediateSize, queries + 2 * config.kvHeadCount * config.headDimension)
        let inputs = max(config.hiddenSize, config.intermediateSize, queries)
        a = [Float](repeating: 0.5, count: tokens * inputs)
        b = [Float](repeating: 0.5, count: max(widest * config.hiddenSize, inputs * config.hiddenSize, tokens * inputs))
        c = [Float](repeating: 0, count: tokens * max(widest, inputs, tokens))
        OpenBLAS.setThreads(threads)
    }

    /// Every projection of every layer.
    func projections() {
        let heads = config.headCount * config.headDimension
        let keys = config.kvHeadCount * config.headDimension
        for _ in 0..<config.layerCount {
            product(tokens, heads + 2 * keys, config.hiddenSize, transposed: true)
            product(tokens, config.hiddenSize, heads, transposed: true)
            product(tokens, 2 * config.intermediateSize, config.hiddenSize, transposed: true)
            product(tokens, config.hiddenSize, config.intermediateSize, transposed: true)
        }
    }

    /// Every query-key and weight-value product, in blocks of queries that see just the keys before their end.
    func attention() {
        for _ in 0..<config.layerCount * config.headCount {
            for first in stride(from: 0, to: tokens, by: Self.queryBlock) {
                let end = min(first + Self.queryBlock, tokens)
                product(end - first, end, config.headDimension, transposed: true)
                product(end - first, config.headDimension, end, transposed: false)
            }
        }
    }

    private func product(_ m: Int, _ n: Int, _ k: Int, transposed: Bool) {
        unsafe cblas_sgemm(
            CblasRowMajor, CblasNoTrans, transposed ? CblasTrans : CblasNoTrans, Int32(m), Int32(n), Int32(k), 1, a,
            Int32(k), b, Int32(transposed ? k : n), 0, &c, Int32(n))
    }
}
