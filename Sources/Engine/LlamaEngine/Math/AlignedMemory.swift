// Memory for weights, activations and KV pages.

import Glibc

/// A block of memory that is aligned to 64 bytes and zero at first. Its owner decides which thread may use it when.
@safe
final class AlignedMemory: @unchecked Sendable {
    // Unchecked: the class only owns the block; `Transformer` and `PagePool` keep concurrent writes apart.
    let base: UnsafeMutableRawPointer
    /// Size in bytes.
    let byteCount: Int

    /// From this size on, a block gets huge pages: through 4 KiB pages a core reads weights only half as fast.
    private static let hugePageThreshold = 8 << 20
    private static let hugePage = 2 << 20

    /// Reserves `byteCount` bytes. Large blocks take no physical memory until they are touched.
    init(byteCount: Int) {
        let size = max(byteCount, 64)
        let isLarge = size >= Self.hugePageThreshold
        unsafe base = .allocate(byteCount: size, alignment: isLarge ? Self.hugePage : 64)
        self.byteCount = size
        if isLarge {
            // Advice only: without huge pages everything works, but more slowly.
            _ = unsafe madvise(base, size, MADV_HUGEPAGE)
        } else {
            unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: size)
        }
    }

    /// Room for `count` floats.
    convenience init(floats count: Int) { self.init(byteCount: count * MemoryLayout<Float>.size) }

    /// The block as floats.
    var floats: UnsafeMutablePointer<Float> { unsafe base.assumingMemoryBound(to: Float.self) }

    deinit { unsafe base.deallocate() }
}

/// A row-major matrix of activations: one row per token, with rows `stride` floats apart.
@safe
struct Activations {
    private let memory: AlignedMemory
    /// Floats from one row to the next: the width rounded up to whole panels.
    let stride: Int

    /// Room for `rows` rows of `width` floats.
    init(rows: Int, width: Int) {
        stride = WeightMatrix.paddedToPanels(width)
        memory = AlignedMemory(floats: rows * stride)
        // A large block is not zeroed by its constructor, and products read whole padded rows.
        unsafe memory.base.initializeMemory(as: UInt8.self, repeating: 0, count: memory.byteCount)
    }

    /// Whether the first `count` floats of row `row` are finite.
    func isFinite(_ row: Int, count: Int) -> Bool {
        let floats = unsafe UnsafeBufferPointer(start: self.row(row), count: count)
        // The largest bit pattern without the sign. A loop without an early exit, which the compiler vectorises.
        var largest: UInt32 = 0
        for index in floats.indices { largest = unsafe max(largest, floats[index].bitPattern & 0x7FFF_FFFF) }
        return largest < Float.infinity.bitPattern
    }

    /// The address of row `row`.
    func row(_ row: Int) -> UnsafeMutablePointer<Float> { unsafe memory.floats + row * stride }
}
