// The engine's own memory for KV, cut into pages.

import CEngine
import KVFormat

/// A bounded number of KV pages in one block of memory.
///
/// A page has the store's order, `[layer][K, V][token][KV head][head dimension]`, and each plane has room for a whole
/// page. Not thread-safe: only the thread that drives the engine takes and releases pages.
@safe
final class PagePool {
    /// Shape of a page.
    let layout: KVLayout
    /// Number of pages in the pool.
    let capacity: Int

    private let memory: AlignedMemory
    private let pageStride: Int
    private var free: [Int]

    /// Makes as many pages as fit into `byteCount` bytes. A page takes physical memory when it is first used.
    init(layout: KVLayout, byteCount: Int) {
        self.layout = layout
        pageStride = (layout.bytesPerPage + 63) / 64 * 64
        capacity = byteCount / pageStride
        memory = AlignedMemory(byteCount: capacity * pageStride)
        free = Array((0..<capacity).reversed())
    }

    /// Number of pages that are not in use.
    var freeCount: Int { free.count }

    /// Takes a page; nil when all are in use. Its contents are undefined.
    func take() -> KVPage? {
        guard let slot = free.popLast() else { return nil }
        return unsafe KVPage(base: memory.base + slot * pageStride, slot: slot, pool: self)
    }

    fileprivate func giveBack(_ slot: Int) { free.append(slot) }
}

/// One page of KV. It returns to its pool when the last sequence that holds it releases it.
///
/// The sequence that fills a page owns its unwritten tokens. Written tokens never change, so several sequences may
/// share the page.
@safe
final class KVPage {
    /// The page's first byte.
    let base: UnsafeMutableRawPointer
    private let slot: Int
    private let pool: PagePool

    fileprivate init(base: UnsafeMutableRawPointer, slot: Int, pool: PagePool) {
        unsafe self.base = base
        self.slot = slot
        self.pool = pool
    }

    /// The page as the store reads it.
    var source: PageSource { unsafe PageSource(base, capacity: pool.layout.pageSize) }

    /// The page as the store writes it.
    var target: PageTarget { unsafe PageTarget(base, capacity: pool.layout.pageSize) }

    /// Copies the first `tokens` tokens of every plane from `other`.
    func copy(tokens: Int, from other: KVPage) {
        let layout = pool.layout
        for plane in 0..<layout.planeCount {
            let offset = layout.pageSize * layout.bytesPerToken(beforePlane: plane)
            unsafe (base + offset).copyMemory(
                from: other.base + offset, byteCount: tokens * layout.bytesPerToken(inPlane: plane))
        }
    }

    deinit { pool.giveBack(slot) }
}

extension KVElement {
    /// The kernels' name for the type, or nil when the engine does not compute in it.
    var kernelElement: Element? {
        switch self {
        case .bf16: CENGINE_BF16
        case .fp16: CENGINE_FP16
        case .fp32: CENGINE_FP32
        default: nil
        }
    }
}
