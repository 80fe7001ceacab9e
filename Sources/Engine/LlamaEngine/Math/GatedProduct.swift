// The first half of the feed-forward part.

import CEngine

/// Gate and up projections with the activation between them: `silu(gate x) * (up x)`.
///
/// It works block by block, so that the two products are never written out in full. At the widest point of the model,
/// that would move more bytes than everything else.
struct GatedProduct {
    /// The gate projection.
    let gate: WeightMatrix
    /// The up projection, of the same shape.
    let up: WeightMatrix

    /// Rows of a block: few enough that its two products stay in the second-level cache.
    static let blockRows = 96
    /// Floats of scratch memory that each thread needs.
    static let scratchFloats = 2 * blockRows * WeightMatrix.panelRows

    /// Computes `count` rows of `target` from as many rows of `source`. `blocks` holds `scratchFloats` per thread;
    /// `scratch` is the scratch memory of `WeightMatrix.multiply`.
    func multiply(
        _ source: Activations, rows count: Int, into target: Activations, kernels: Kernels, pool: WorkerPool,
        scratch: AlignedMemory, blocks: AlignedMemory
    ) {
        let width = WeightMatrix.panelRows
        let panels = WeightMatrix.paddedToPanels(gate.rows) / width
        pool.run(panels * ((count + Self.blockRows - 1) / Self.blockRows)) { task, thread in
            let (block, panel) = task.quotientAndRemainder(dividingBy: panels)
            let first = block * Self.blockRows
            let rows = min(Self.blockRows, count - first)
            let gates = unsafe blocks.floats + thread * Self.scratchFloats
            let ups = unsafe gates + Self.blockRows * width
            unsafe gate.multiplyPanel(
                panel, source.row(first), stride: source.stride, rows: rows, into: gates, targetStride: width,
                kernels: kernels, scratch: scratch, thread: thread)
            unsafe up.multiplyPanel(
                panel, source.row(first), stride: source.stride, rows: rows, into: ups, targetStride: width,
                kernels: kernels, scratch: scratch, thread: thread)
            for row in 0..<rows {
                unsafe kernels.table.pointee.silu_product(
                    gates + row * width, ups + row * width, target.row(first + row) + panel * width, width)
            }
        }
    }
}
