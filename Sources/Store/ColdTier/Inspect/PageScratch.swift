// Memory for what is decoded only to see whether it can be.

/// Memory that pages and side states are decoded into, and never read from. One thread at a time.
@safe
final class PageScratch {
    private var memory: UnsafeMutableRawBufferPointer = .allocate(byteCount: 0, alignment: 64)

    deinit { unsafe memory.deallocate() }

    /// Room for `byteCount` bytes, whatever they held; good until the next call.
    @unsafe
    func room(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
        if unsafe byteCount > memory.count {
            unsafe memory.deallocate()
            unsafe memory = .allocate(byteCount: byteCount, alignment: 64)
        }
        return unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<byteCount])
    }
}
