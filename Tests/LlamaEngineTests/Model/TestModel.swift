// A model and sequences on it, without a scheduler.

import KVFormat
import TestKit

@testable import LlamaEngine

/// A model on a fixture's weights, and a pool of pages.
final class TestModel {
    let transformer: Transformer
    let pages: PagePool
    let workers: WorkerPool

    /// The checkpoint `name` with KV of type `element`.
    init(
        _ name: String, element: KVElement = .fp32, pageSize: Int = 16, threads: Int = 2, kernels: Kernels = .current
    ) throws {
        let checkpoint = try Checkpoint(folder: Fixtures.checkpoint(name))
        let config = checkpoint.config
        let layout = try KVLayout(
            layers: config.layerCount, kvHeads: config.kvHeadCount, headDimension: config.headDimension,
            element: element, pageSize: pageSize)
        workers = WorkerPool(threads: threads)
        transformer = try Transformer(
            checkpoint: checkpoint, layout: layout, maxRows: 512, pool: workers, kernels: kernels)
        pages = PagePool(layout: layout, byteCount: 400 * layout.bytesPerPage)
    }

    /// The logits after every token of `tokens`, computed in runs that begin at `cuts`.
    func logits(_ tokens: [UInt32], cuts: [Int] = []) -> [[Float]] {
        let sequence = TestSequence(self, tokens)
        var result: [[Float]] = []
        for (from, to) in zip([0] + cuts, cuts + [tokens.count]) where to > from {
            result += forward([sequence.segment(from..<to)])
        }
        return result
    }

    /// The logits of every token of the segments.
    func forward(_ segments: [Segment]) -> [[Float]] {
        let logits = transformer.forward(ForwardBatch(segments, pageSize: pages.layout.pageSize))
        return (0..<logits.count).map { row in
            let values = logits[row]
            return values.indices.map { values[$0] }
        }
    }
}

/// A sequence with pages for all its tokens.
struct TestSequence {
    let tokens: [UInt32]
    var pages: [KVPage]

    init(_ model: TestModel, _ tokens: [UInt32]) {
        self.tokens = tokens
        let size = model.pages.layout.pageSize
        pages = (0..<(tokens.count + size - 1) / size).compactMap { _ in model.pages.take() }
    }

    /// The run `range` of the sequence's tokens, with logits for each.
    func segment(_ range: Range<Int>) -> Segment {
        Segment(tokens: tokens[range], position: range.lowerBound, pages: pages, logits: 0..<range.count)
    }
}

extension SplitMix64 {
    /// A prompt of `count` tokens below `vocabulary`.
    mutating func prompt(_ count: Int, vocabulary: UInt32 = 280) -> [UInt32] {
        (0..<count).map { _ in UInt32.random(in: 0..<vocabulary, using: &self) }
    }
}
