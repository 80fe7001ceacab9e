// The steps of a layer between the matrix products. They work on each row separately.

import CEngine
import KVFormat

extension Transformer {
    /// Splits `rows` rows over the threads.
    private func forRows(_ rows: Int, _ body: (Int) -> Void) {
        let tasks = (rows + Self.rowsPerTask - 1) / Self.rowsPerTask
        pool.run(tasks) { task, _ in
            for row in task * Self.rowsPerTask..<min((task + 1) * Self.rowsPerTask, rows) { body(row) }
        }
    }

    /// Turns token ids into rows of the residual stream.
    func embed(_ batch: ForwardBatch) {
        let table = weights.embedding
        let hidden = config.hiddenSize
        unsafe table.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            forRows(batch.rowCount) { row in
                let offset = Int(batch.tokens[row]) * hidden * table.dtype.byteCount
                unsafe kernels.table.pointee.widen(
                    base + offset, table.dtype.kernelElement, stream.row(row), hidden)
            }
        }
    }

    /// Writes the normalised stream into `normed`.
    func normalize(_ rows: Int, _ weight: [Float]) {
        forRows(rows) { row in
            unsafe kernels.table.pointee.rms_norm(
                stream.row(row), weight, config.rmsNormEpsilon, normed.row(row), config.hiddenSize)
        }
    }

    /// Adds a block's result, in `normed`, to the stream, and prepares the input of the next block.
    func addAndNormalize(_ rows: Int, bias: [Float], norm: [Float]) {
        let hidden = config.hiddenSize
        forRows(rows) { row in
            if !bias.isEmpty { unsafe kernels.table.pointee.add(bias, normed.row(row), hidden) }
            unsafe kernels.table.pointee.add(normed.row(row), stream.row(row), hidden)
            unsafe kernels.table.pointee.rms_norm(
                stream.row(row), norm, config.rmsNormEpsilon, normed.row(row), hidden)
        }
    }

    /// Applies bias, head norms and rotation to the new heads, and writes the rounded keys and values into their pages.
    func finishHeads(_ batch: ForwardBatch, _ layer: LayerWeights, _ index: Int) {
        let dimension = config.headDimension
        let keyWidth = config.kvHeadCount * dimension
        let queryWidth = config.headCount * dimension
        let tokenBytes = layout.bytesPerToken(inPlane: 2 * index)
        let keyPlane = layout.pageSize * layout.bytesPerToken(beforePlane: 2 * index)
        let valuePlane = layout.pageSize * layout.bytesPerToken(beforePlane: 2 * index + 1)
        forRows(batch.rowCount) { row in
            let head = unsafe heads.row(row)
            if !layer.queryKeyValueBias.isEmpty {
                unsafe kernels.table.pointee.add(layer.queryKeyValueBias, head, queryWidth + 2 * keyWidth)
            }
            let position = batch.positions[row]
            let cosines = unsafe rope.row(position)
            for number in 0..<config.headCount + config.kvHeadCount {
                let at = unsafe head + number * dimension
                let norm = number < config.headCount ? layer.queryNorm : layer.keyNorm
                if !norm.isEmpty {
                    unsafe kernels.table.pointee.rms_norm(at, norm, config.rmsNormEpsilon, at, dimension)
                }
                unsafe kernels.table.pointee.rotate(at, cosines, cosines + rope.half, dimension)
            }
            let slot = unsafe batch.pages[row] + position % layout.pageSize * tokenBytes
            unsafe kernels.table.pointee.narrow(head + queryWidth, kvElement, slot + keyPlane, keyWidth)
            unsafe kernels.table.pointee.narrow(head + queryWidth + keyWidth, kvElement, slot + valuePlane, keyWidth)
        }
    }
}
