// The forward pass of the Llama family.

import CEngine
import KVFormat

/// A model that is ready to compute: one forward pass at a time, on one calling thread.
///
/// Every bit that it computes for a token depends only on the token, its position and the KV before it; docs/engine.md
/// says how.
@safe
final class Transformer {
    let config: ModelConfig
    let layout: KVLayout
    /// The largest number of rows of a forward pass.
    let maxRows: Int

    let weights: ModelWeights
    let kernels: Kernels
    let pool: WorkerPool
    let rope: RopeTable
    let kvElement: Element

    /// The residual stream.
    let stream: Activations
    /// The input of a product, and the output of the last product of a block.
    let normed: Activations
    /// Query, key and value heads.
    let heads: Activations
    /// The attention's result.
    let attended: Activations
    /// The activated product of gate and up.
    let gated: Activations
    /// Scratch memory with one part per thread: widened weights, unfinished gates and the attention kernel's work.
    let panelScratch: AlignedMemory
    let gateScratch: AlignedMemory
    let attentionScratch: AlignedMemory

    /// Rows that a task of an element-wise step takes.
    static let rowsPerTask = 16
    /// Queries, over all heads of a group, that a task of the attention takes.
    static let queriesPerTask = 512

    /// Loads the weights of `checkpoint`.
    ///
    /// - Throws: `EngineError` for a tensor that is missing or has another shape or type.
    init(checkpoint: Checkpoint, layout: KVLayout, maxRows: Int, pool: WorkerPool, kernels: Kernels = .current)
        throws(EngineError)
    {
        let config = checkpoint.config
        guard let element = layout.element?.kernelElement else {
            throw .unsupportedFeature("KV of type \(layout.element.map { "\($0)" } ?? "several")")
        }
        self.config = config
        self.layout = layout
        self.maxRows = maxRows
        self.pool = pool
        self.kernels = kernels
        kvElement = element
        weights = try ModelWeights(checkpoint, pool: pool)
        rope = RopeTable(config.rope, headDimension: config.headDimension, maxPositions: config.maxPositions)
        let queryWidth = config.headCount * config.headDimension
        stream = Activations(rows: maxRows, width: config.hiddenSize)
        normed = Activations(rows: maxRows, width: config.hiddenSize)
        heads = Activations(rows: maxRows, width: queryWidth + 2 * config.kvHeadCount * config.headDimension)
        attended = Activations(rows: maxRows, width: queryWidth)
        gated = Activations(rows: maxRows, width: config.intermediateSize)
        panelScratch = AlignedMemory(floats: pool.threadCount * WeightMatrix.panelRows * Int(CENGINE_K_BLOCK))
        gateScratch = AlignedMemory(floats: pool.threadCount * GatedProduct.scratchFloats)
        let group = config.headCount / config.kvHeadCount
        let floats = cengine_attention_scratch(
            layout.pageSize, config.headDimension, group, Self.tokensPerAttentionTask(group))
        attentionStride = (floats + 15) / 16 * 16
        attentionScratch = AlignedMemory(floats: pool.threadCount * attentionStride)
    }

    /// Floats of attention scratch memory per thread.
    let attentionStride: Int

    static func tokensPerAttentionTask(_ group: Int) -> Int { max(1, queriesPerTask / group) }

    /// Computes the batch's tokens: writes their KV into the pages, and returns the wanted logits, one row of
    /// `vocabularySize` floats per token.
    func forward(_ batch: ForwardBatch) -> Logits {
        precondition(batch.rowCount > 0 && batch.rowCount <= maxRows)
        rope.prepare(positions: batch.segments.reduce(0) { max($0, $1.end) })
        embed(batch)
        for index in weights.layers.indices {
            let layer = weights.layers[index]
            if index == 0 { normalize(batch.rowCount, layer.attentionNorm) }
            multiply(layer.queryKeyValue, normed, batch.rowCount, into: heads)
            finishHeads(batch, layer, index)
            attend(batch, layer: index)
            multiply(layer.output, attended, batch.rowCount, into: normed)
            addAndNormalize(batch.rowCount, bias: layer.outputBias, norm: layer.feedForwardNorm)
            layer.gateUp.multiply(
                normed, rows: batch.rowCount, into: gated, kernels: kernels, pool: pool, scratch: panelScratch,
                blocks: gateScratch)
            multiply(layer.down, gated, batch.rowCount, into: normed)
            let isLast = index + 1 == weights.layers.count
            let norm = isLast ? weights.finalNorm : weights.layers[index + 1].attentionNorm
            addAndNormalize(batch.rowCount, bias: [], norm: norm)
        }
        return logits(batch)
    }

    private func multiply(_ matrix: WeightMatrix, _ source: Activations, _ rows: Int, into target: Activations) {
        unsafe matrix.multiply(
            source.row(0), stride: source.stride, rows: rows, into: target.row(0), targetStride: target.stride,
            kernels: kernels, pool: pool, scratch: panelScratch)
    }

    private func logits(_ batch: ForwardBatch) -> Logits {
        var result = Logits(rows: batch.logitRows.count, vocabularySize: config.vocabularySize)
        result.isFinite = finiteSegments(batch)
        guard !batch.logitRows.isEmpty else { return result }
        // Each wanted row moves up to its place, and never onto a row that is still to be read.
        for (index, row) in batch.logitRows.enumerated() where row != index {
            unsafe normed.row(index).update(from: normed.row(row), count: config.hiddenSize)
        }
        multiply(weights.head, normed, batch.logitRows.count, into: result.values)
        var row = 0
        for (index, segment) in batch.segments.enumerated() {
            for _ in segment.logits {
                if !result.values.isFinite(row, count: config.vocabularySize) { result.isFinite[index] = false }
                row += 1
            }
        }
        return result
    }

    /// Which segments are finite in every row after the last layer. A NaN in the KV of any layer shows there, because a
    /// token's own KV goes into its row.
    private func finiteSegments(_ batch: ForwardBatch) -> [Bool] {
        var row = 0
        return batch.segments.map { segment in
            defer { row += segment.tokens.count }
            return (row..<row + segment.tokens.count).allSatisfy { normed.isFinite($0, count: config.hiddenSize) }
        }
    }
}

/// The logits of some tokens.
@safe
struct Logits {
    let values: Activations
    /// Rows.
    let count: Int
    /// For each segment of the batch, whether everything computed for it is finite.
    var isFinite: [Bool] = []
    private let vocabularySize: Int

    init(rows: Int, vocabularySize: Int) {
        values = Activations(rows: rows, width: vocabularySize)
        count = rows
        self.vocabularySize = vocabularySize
    }

    /// The logits of row `index`, one per token of the vocabulary.
    subscript(index: Int) -> Span<Float> {
        @_lifetime(borrow self)
        get {
            precondition(index < count)
            let row = unsafe UnsafeBufferPointer(start: values.row(index), count: vocabularySize)
            return unsafe _overrideLifetime(Span(_unsafeElements: row), borrowing: self)
        }
    }
}
