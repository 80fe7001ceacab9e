// Weights, packed for the product kernel.

import CEngine

/// A matrix of weights: `rows` outputs by `columns` inputs, packed in panels of 64 outputs.
///
/// It keeps the checkpoint's element type, or holds floats; the products have the same bits either way, because both
/// 16-bit types widen exactly.
@safe
final class WeightMatrix: @unchecked Sendable {
    // Unchecked: written in `init` only.
    /// Outputs.
    let rows: Int
    /// Inputs.
    let columns: Int

    private let memory: AlignedMemory
    private let element: Element
    private let panelBytes: Int

    /// How the elements are held.
    enum Storage {
        /// As 32-bit floats: twice the memory of 16-bit weights, but no widening at each product.
        case floats
        /// As in the checkpoint.
        case asStored
    }

    /// Outputs of a panel.
    static let panelRows = Int(CENGINE_PANEL)
    /// How many tokens one task multiplies with a panel.
    private static let taskRows = 192

    /// `width` rounded up to whole panels.
    static func paddedToPanels(_ width: Int) -> Int { (width + panelRows - 1) / panelRows * panelRows }

    /// Packs `parts`, row-major matrices of `columns` columns, one below the other.
    init(_ parts: [TensorView], columns: Int, storage: Storage, pool: WorkerPool) {
        let total = parts.reduce(0) { $0 + $1.elementCount / columns }
        let types = parts.map(\.dtype)
        let common = types.dropFirst().allSatisfy { $0 == types[0] } && storage == .asStored ? types[0] : .fp32
        rows = total
        self.columns = columns
        element = common.kernelElement
        panelBytes = columns * Self.panelRows * common.byteCount
        let panels = Self.paddedToPanels(total) / Self.panelRows
        memory = AlignedMemory(byteCount: panels * panelBytes)
        if total % Self.panelRows != 0 {
            // The columns of a last panel that has fewer outputs stay zero.
            let last = unsafe memory.base + (panels - 1) * panelBytes
            unsafe last.initializeMemory(as: UInt8.self, repeating: 0, count: panelBytes)
        }
        var first = 0
        for part in parts {
            let count = part.elementCount / columns
            pack(part, rows: count, at: first, pool)
            first += count
        }
    }

    private func pack(_ part: TensorView, rows count: Int, at first: Int, _ pool: WorkerPool) {
        let panels = first / Self.panelRows...(first + count - 1) / Self.panelRows
        unsafe part.withUnsafeBytes { bytes in
            guard let source = bytes.baseAddress else { return }
            pool.run(panels.count) { index, _ in
                let panel = panels.lowerBound + index
                let low = max(first, panel * Self.panelRows)
                let high = min(first + count, (panel + 1) * Self.panelRows)
                unsafe cengine_pack_panel(
                    source + (low - first) * columns * part.dtype.byteCount, part.dtype.kernelElement, high - low,
                    columns, memory.base + panel * panelBytes, element, low - panel * Self.panelRows)
            }
        }
    }

    /// `target[row][output] = sum over inputs of source[row][input] * weight[output][input]`, for `count` rows.
    ///
    /// Each element is summed in the order of the inputs, whatever `count` is and however the work is divided. The
    /// outputs up to the next multiple of 64 are written too, as zeros.
    /// - Parameter scratch: `64 * CENGINE_K_BLOCK` floats per thread.
    func multiply(
        _ source: UnsafePointer<Float>, stride: Int, rows count: Int, into target: UnsafeMutablePointer<Float>,
        targetStride: Int, kernels: Kernels, pool: WorkerPool, scratch: AlignedMemory
    ) {
        let panels = Self.paddedToPanels(rows) / Self.panelRows
        let blocks = (count + Self.taskRows - 1) / Self.taskRows
        pool.run(panels * blocks) { task, thread in
            let (block, panel) = task.quotientAndRemainder(dividingBy: panels)
            let row = block * Self.taskRows
            unsafe multiplyPanel(
                panel, source + row * stride, stride: stride, rows: min(Self.taskRows, count - row),
                into: target + row * targetStride + panel * Self.panelRows, targetStride: targetStride,
                kernels: kernels, scratch: scratch, thread: thread)
        }
    }

    /// The 64 outputs of panel `panel`, for `count` rows, on thread `thread`.
    func multiplyPanel(
        _ panel: Int, _ source: UnsafePointer<Float>, stride: Int, rows count: Int,
        into target: UnsafeMutablePointer<Float>, targetStride: Int, kernels: Kernels, scratch: AlignedMemory,
        thread: Int
    ) {
        unsafe kernels.table.pointee.panel_product(
            source, stride, count, memory.base + panel * panelBytes, element, columns, target, targetStride,
            scratch.floats + thread * Self.panelRows * Int(CENGINE_K_BLOCK))
    }
}
