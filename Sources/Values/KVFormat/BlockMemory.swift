// Where the bytes of a block lie in a caller's memory: in one piece, or in parts.

/// The bytes of one block in the caller's memory, to read from: in one piece, or in parts that follow each other in the
/// block, such as one for each layer of a KV cache. The memory must stay valid and unchanged until the call that took
/// it returns.
@safe
public struct BlockSource: @unchecked Sendable {
    // Unchecked: addresses and sizes; the caller answers for what is behind them.
    private let parts: [UnsafeRawBufferPointer]
    /// Bytes of the block: those of all parts.
    public let byteCount: Int

    /// A block in one piece.
    public init(_ bytes: UnsafeRawBufferPointer) { unsafe self.init(parts: [bytes]) }

    /// A block in parts, in their order. Parts may have different sizes, and may be empty.
    public init(parts: [UnsafeRawBufferPointer]) {
        unsafe self.parts = unsafe parts
        byteCount = unsafe parts.reduce(0) { $0 + $1.count }
    }

    /// Copies the block to `target`, which has room for `byteCount` bytes and overlaps no part.
    @unsafe
    package func copy(to target: UnsafeMutableRawPointer) {
        var offset = 0
        for index in unsafe parts.indices {
            let part = unsafe parts[index]
            guard let base = part.baseAddress else { continue }
            unsafe (target + offset).copyMemory(from: base, byteCount: part.count)
            offset += part.count
        }
    }
}

/// The memory of one block in the caller's memory, to write to. The arrangements are those of `BlockSource`.
@safe
public struct BlockTarget: @unchecked Sendable {
    // Unchecked: addresses and sizes; the caller answers for what is behind them.
    private let parts: [UnsafeMutableRawBufferPointer]
    /// Bytes of the block: those of all parts.
    public let byteCount: Int

    /// A block in one piece.
    public init(_ memory: UnsafeMutableRawBufferPointer) { unsafe self.init(parts: [memory]) }

    /// A block in parts, in their order. Parts may have different sizes, and may be empty.
    public init(parts: [UnsafeMutableRawBufferPointer]) {
        unsafe self.parts = unsafe parts
        byteCount = unsafe parts.reduce(0) { $0 + $1.count }
    }

    /// Where the bytes `range` of the block lie, when they lie in one part; nil otherwise. Not for an empty range.
    @unsafe
    package func piece(_ range: Range<Int>) -> UnsafeMutableRawPointer? {
        var start = 0
        for index in unsafe parts.indices {
            let part = unsafe parts[index]
            let end = start + part.count
            if range.lowerBound >= start, range.upperBound <= end {
                return unsafe part.baseAddress.map { unsafe $0 + (range.lowerBound - start) }
            }
            start = end
        }
        return nil
    }

    /// Copies `bytes` to where the bytes `range` of the block lie, over as many parts as that takes.
    package func write(_ bytes: UnsafeRawBufferPointer, to range: Range<Int>) {
        precondition(bytes.count == range.count, "\(bytes.count) bytes for \(range)")
        var start = 0
        for index in unsafe parts.indices {
            let part = unsafe parts[index]
            let held = range.clamped(to: start..<start + part.count)
            if let base = part.baseAddress, !held.isEmpty {
                let source = unsafe UnsafeRawBufferPointer(
                    rebasing: bytes[held.lowerBound - range.lowerBound..<held.upperBound - range.lowerBound])
                unsafe UnsafeMutableRawBufferPointer(start: base + (held.lowerBound - start), count: held.count)
                    .copyMemory(from: source)
            }
            start += part.count
        }
    }
}
