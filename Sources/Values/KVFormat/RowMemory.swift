// Rows that lie anywhere in an engine's memory: by index and stride.

/// Where the rows of consecutive tokens lie in an engine's memory. Row `r` of plane `p` begins at
/// `planes[p] + r * strides[p]`.
///
/// For engines whose cells are scattered, or that have other things between their rows. The list of planes, the index
/// and the memory behind them must stay valid until the call that took them returns.
@safe
public struct RowMemory: @unchecked Sendable {
    // Unchecked: addresses and sizes; the caller answers for what is behind them.
    private let planes: UnsafeBufferPointer<UnsafeMutableRawPointer?>
    private let strides: [Int]?
    private let capacity: Int
    private let index: UnsafeBufferPointer<UInt32>?
    private let first: Int

    /// Rows one after the other.
    ///
    /// - Parameters:
    ///   - planes: the address of row 0, for each plane of the layout. A load leaves out planes without an address.
    ///   - strides: bytes from one row to the next, for each plane; nil for rows without gaps.
    ///   - capacity: rows that each plane has room for.
    ///   - first: the row of the first token.
    public init(
        planes: UnsafeBufferPointer<UnsafeMutableRawPointer?>, strides: [Int]? = nil, capacity: Int, first: Int = 0
    ) {
        unsafe self.planes = unsafe planes
        self.strides = strides
        self.capacity = capacity
        unsafe index = nil
        self.first = first
    }

    /// Rows in any order.
    ///
    /// - Parameters:
    ///   - planes: the address of row 0, for each plane of the layout. A load leaves out planes without an address.
    ///   - strides: bytes from one row to the next, for each plane; nil for rows without gaps.
    ///   - capacity: rows that each plane has room for.
    ///   - index: the row of each token, all different.
    public init(
        planes: UnsafeBufferPointer<UnsafeMutableRawPointer?>, strides: [Int]? = nil, capacity: Int,
        index: UnsafeBufferPointer<UInt32>
    ) {
        unsafe self.planes = unsafe planes
        self.strides = strides
        self.capacity = capacity
        unsafe self.index = unsafe index
        first = 0
    }

    /// Whether every plane has an address.
    package var hasAllPlanes: Bool { unsafe !planes.contains { unsafe $0 == nil } }

    /// Whether a plane has an address.
    package func has(plane: Int) -> Bool { unsafe planes[plane] != nil }

    /// Why the rows of the tokens `tokens`, counted from the memory's first, cannot be used; nil when they can.
    package func misfit(tokens: Range<Int>, _ layout: KVLayout) -> String? {
        let planeCount = unsafe planes.count
        guard planeCount == layout.planeCount else { return "\(planeCount) tensors for \(layout.planeCount) planes" }
        guard unsafe planes.contains(where: { unsafe $0 != nil }) else { return "no plane has an address" }
        if let strides {
            guard strides.count == planeCount else { return "\(strides.count) strides for \(planeCount) planes" }
            for (plane, stride) in strides.enumerated() where stride < layout.bytesPerToken(inPlane: plane) {
                return "a stride of \(stride) bytes for rows of \(layout.bytesPerToken(inPlane: plane))"
            }
        }
        let widest = strides?.max() ?? (0..<layout.planeCount).lazy.map(layout.bytesPerToken(inPlane:)).max() ?? 0
        guard capacity >= 0, !capacity.multipliedReportingOverflow(by: widest).overflow else {
            return "room for \(capacity) rows of \(widest) bytes"
        }
        guard let index = unsafe index else {
            guard first >= 0, tokens.upperBound <= capacity, first <= capacity - tokens.upperBound else {
                return "\(tokens.upperBound) tokens from row \(first) on in memory for \(capacity)"
            }
            return nil
        }
        guard tokens.upperBound <= index.count else { return "\(index.count) rows for \(tokens.upperBound) tokens" }
        for token in tokens where unsafe index[token] >= capacity {
            return "row \(unsafe index[token]) in memory for \(capacity)"
        }
        return nil
    }

    /// Copies the rows of `tokens` in plane `plane` from packed rows; nothing when the plane has no address. The caller
    /// has asked `misfit`.
    @unsafe
    package func write(_ tokens: Range<Int>, ofPlane plane: Int, _ layout: KVLayout, from packed: UnsafeRawPointer) {
        guard let base = unsafe planes[plane] else { return }
        forEachRun(tokens, plane, layout) { offset, place, count in
            unsafe (base + place).copyMemory(from: packed + offset, byteCount: count)
        }
    }

    /// Copies the rows of `tokens` in plane `plane` to packed rows. The caller has asked `misfit`; the plane has an
    /// address.
    @unsafe
    package func read(_ tokens: Range<Int>, ofPlane plane: Int, _ layout: KVLayout, to packed: UnsafeMutableRawPointer)
    {
        guard let base = unsafe planes[plane] else { preconditionFailure("plane \(plane) has no address") }
        forEachRun(tokens, plane, layout) { offset, place, count in
            unsafe (packed + offset).copyMemory(from: base + place, byteCount: count)
        }
    }

    /// The memory of `tokens` as tensors, which take no copy on the way; nil when it is not that of tensors: rows by
    /// index, gaps between rows, or planes that are left out.
    package func tensors(_ tokens: Range<Int>, _ layout: KVLayout) -> PageAddress? {
        guard unsafe index == nil, hasAllPlanes else { return nil }
        if let strides {
            for plane in 0..<layout.planeCount where strides[plane] != layout.bytesPerToken(inPlane: plane) {
                return nil
            }
        }
        // Every address is there, so the list is one of addresses.
        let start = unsafe UnsafeRawPointer(planes.baseAddress)?.assumingMemoryBound(to: UnsafeMutableRawPointer.self)
        return unsafe .tensors(
            UnsafeBufferPointer(start: start, count: planes.count), tokenOffset: first + tokens.lowerBound,
            capacity: capacity)
    }

    /// Rows that lie side by side are copied at once: `body` gets their offset among packed rows, their place in the
    /// plane's memory, and their bytes.
    private func forEachRun(
        _ tokens: Range<Int>, _ plane: Int, _ layout: KVLayout,
        _ body: (_ offset: Int, _ place: Int, _ count: Int) -> Void
    ) {
        let size = layout.bytesPerToken(inPlane: plane)
        let stride = strides?[plane] ?? size
        var token = tokens.lowerBound
        while token < tokens.upperBound {
            let row = unsafe index.map { unsafe Int($0[token]) } ?? first + token
            var end = token + 1
            if stride == size {
                if let index = unsafe index {
                    while end < tokens.upperBound, unsafe Int(index[end]) == row + (end - token) { end += 1 }
                } else {
                    end = tokens.upperBound
                }
            }
            body((token - tokens.lowerBound) * size, row * stride, (end - token) * size)
            token = end
        }
    }
}
