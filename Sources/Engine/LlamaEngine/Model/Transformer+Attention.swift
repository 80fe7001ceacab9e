// Attention over the pages of the batch's sequences.

import CEngine
import KVFormat

extension Transformer {
    /// A block of queries of one sequence against one KV head.
    private struct AttentionTask {
        let segment: Int
        /// The segment's first row in the batch.
        let row: Int
        /// Which of the segment's tokens.
        let tokens: Range<Int>
        let kvHead: Int
    }

    /// Fills `attended` from the queries in `heads` and the pages, for layer `layer`.
    func attend(_ batch: ForwardBatch, layer: Int) {
        let tasks = attentionTasks(batch)
        pool.run(tasks.count) { index, thread in
            let task = tasks[index]
            unsafe batch.pageTables[task.segment].withUnsafeBufferPointer { table in
                guard let pages = table.baseAddress else { return }
                unsafe run(task, batch.segments[task.segment].position, pages, layer, thread)
            }
        }
    }

    private func run(
        _ task: AttentionTask, _ position: Int, _ pages: UnsafePointer<UnsafeRawPointer?>, _ layer: Int, _ thread: Int
    ) {
        let group = config.headCount / config.kvHeadCount
        let offset = task.kvHead * group * config.headDimension
        let row = task.row + task.tokens.lowerBound
        var block = unsafe cengine_attention(
            pages: pages, key_offset: layout.pageSize * layout.bytesPerToken(beforePlane: 2 * layer),
            value_offset: layout.pageSize * layout.bytesPerToken(beforePlane: 2 * layer + 1),
            page_size: layout.pageSize, kv_heads: config.kvHeadCount, kv_head: task.kvHead,
            head_dim: config.headDimension, group: group, element: kvElement, queries: heads.row(row) + offset,
            query_stride: heads.stride, out: attended.row(row) + offset, out_stride: attended.stride,
            position: position + task.tokens.lowerBound, count: task.tokens.count,
            scale: 1 / Float(config.headDimension).squareRoot(),
            scratch: attentionScratch.floats + thread * attentionStride)
        unsafe kernels.table.pointee.attention(&block)
    }

    /// The blocks of all segments. The last blocks of a long run come first, because they see the most keys.
    private func attentionTasks(_ batch: ForwardBatch) -> [AttentionTask] {
        let step = Self.tokensPerAttentionTask(config.headCount / config.kvHeadCount)
        var tasks: [AttentionTask] = []
        var row = 0
        for (index, segment) in batch.segments.enumerated() {
            let blocks = (segment.tokens.count + step - 1) / step
            for block in (0..<blocks).reversed() {
                let tokens = block * step..<min((block + 1) * step, segment.tokens.count)
                for head in 0..<config.kvHeadCount {
                    tasks.append(AttentionTask(segment: index, row: row, tokens: tokens, kvHead: head))
                }
            }
            row += segment.tokens.count
        }
        return tasks
    }
}
