// Where the bytes of a page lie in a caller's memory.

/// The bytes of one page in the caller's memory, to read from.
///
/// Two arrangements are known, so that no engine has to copy before it calls: a page in one piece, and one base address a
/// plane (a cache tensor a layer). The memory must stay valid and unchanged until the call that took it returns.
@safe
public struct PageSource: @unchecked Sendable {
    // Unchecked: an address and a length; the caller answers for what is behind them, as the type's comment says.
    private let base: UnsafeRawPointer?
    private let planes: UnsafePointer<UnsafeRawPointer>?
    private let tokens: Int

    /// A page in one piece: plane `p` begins at `base + capacity * (bytes of one token in the planes before p)`.
    ///
    /// - Parameter capacity: tokens that each plane has room for; at least the tokens read.
    public init(_ base: UnsafeRawPointer, capacity: Int) {
        unsafe self.base = base
        unsafe planes = nil
        tokens = capacity
    }

    /// A page spread over one tensor a plane: plane `p` begins at `planes[p] + tokenOffset * (bytes of one token in p)`.
    ///
    /// - Parameter planes: one address a plane of the layout.
    public init(planes: UnsafePointer<UnsafeRawPointer>, tokenOffset: Int) {
        unsafe base = nil
        unsafe self.planes = planes
        tokens = tokenOffset
    }

    /// The address of plane `plane`'s first token.
    @unsafe
    package func address(ofPlane plane: Int, _ layout: KVLayout) -> UnsafeRawPointer {
        if let base = unsafe base { return unsafe base + tokens * layout.bytesPerToken(beforePlane: plane) }
        guard let planes = unsafe planes else { preconditionFailure("a page source has a base or planes") }
        return unsafe planes[plane] + tokens * layout.bytesPerToken(inPlane: plane)
    }
}

/// The memory of one page in the caller's memory, to write to. The arrangements are those of `PageSource`.
@safe
public struct PageTarget: @unchecked Sendable {
    // Unchecked for the reason given at `PageSource`.
    private let base: UnsafeMutableRawPointer?
    private let planes: UnsafePointer<UnsafeMutableRawPointer>?
    private let tokens: Int

    /// A page in one piece: plane `p` begins at `base + capacity * (bytes of one token in the planes before p)`.
    ///
    /// - Parameter capacity: tokens that each plane has room for; at least the tokens written.
    public init(_ base: UnsafeMutableRawPointer, capacity: Int) {
        unsafe self.base = base
        unsafe planes = nil
        tokens = capacity
    }

    /// A page spread over one tensor a plane: plane `p` begins at `planes[p] + tokenOffset * (bytes of one token in p)`.
    public init(planes: UnsafePointer<UnsafeMutableRawPointer>, tokenOffset: Int) {
        unsafe base = nil
        unsafe self.planes = planes
        tokens = tokenOffset
    }

    /// The address of plane `plane`'s first token.
    @unsafe
    package func address(ofPlane plane: Int, _ layout: KVLayout) -> UnsafeMutableRawPointer {
        if let base = unsafe base { return unsafe base + tokens * layout.bytesPerToken(beforePlane: plane) }
        guard let planes = unsafe planes else { preconditionFailure("a page target has a base or planes") }
        return unsafe planes[plane] + tokens * layout.bytesPerToken(inPlane: plane)
    }

    /// The same memory, to read what was written.
    package var source: PageSource {
        if let base = unsafe base { return unsafe PageSource(base, capacity: tokens) }
        guard let planes = unsafe planes else { preconditionFailure("a page target has a base or planes") }
        // A mutable address has the layout of a read-only one; only the right to write is given up.
        let readable = unsafe UnsafeRawPointer(planes).assumingMemoryBound(to: UnsafeRawPointer.self)
        return unsafe PageSource(planes: readable, tokenOffset: tokens)
    }

    /// Copies the first `tokens` tokens of each plane from `source`. Both must have room for them; they must not overlap.
    package func copy(tokens: Int, from source: PageSource, _ layout: KVLayout) {
        for plane in 0..<layout.planeCount {
            let size = tokens * layout.bytesPerToken(inPlane: plane)
            unsafe address(ofPlane: plane, layout).copyMemory(
                from: source.address(ofPlane: plane, layout), byteCount: size)
        }
    }
}
