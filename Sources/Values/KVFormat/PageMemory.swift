// Where the bytes of a page lie in a caller's memory.

/// The bytes of one page in the caller's memory, to read from.
///
/// A page may lie in one piece, in one tensor per plane, or in rows that lie anywhere, so that no engine has to copy
/// before it calls. The memory
/// must stay valid and unchanged until the call that took it returns. A call throws `StoreError.invalidPages` before it
/// reads anything when the memory has less room than the call needs, or another number of planes.
@safe
public struct PageSource: Sendable {
    /// Where the planes lie. Nothing is written through it.
    package let memory: PageAddress

    /// A page in one piece: plane `p` begins at `base + capacity * (bytes of one token in the planes before p)`.
    ///
    /// - Parameters:
    ///   - base: the address of the first token in the first plane.
    ///   - capacity: tokens that each plane has room for; at least the tokens read.
    @inline(never)
    public init(_ base: UnsafeRawPointer, capacity: Int) {
        // Inlined, it leaves a part of the enum unwritten, and valgrind reports every copy of it.
        memory = unsafe .onePiece(base: UnsafeMutableRawPointer(mutating: base), capacity: capacity)
    }

    /// A page that lies in one tensor per plane: plane `p` begins at `planes[p] + tokenOffset * (bytes of one token in
    /// p)`.
    ///
    /// - Parameters:
    ///   - planes: one address per plane of the layout; the list must stay valid too.
    ///   - tokenOffset: position of the page's first token in each tensor.
    ///   - capacity: how many tokens each tensor has room for, including those before the page.
    public init(planes: UnsafeBufferPointer<UnsafeRawPointer>, tokenOffset: Int, capacity: Int) {
        // A read-only address has the layout of a mutable one; nothing is written through it.
        let start = unsafe UnsafeRawPointer(planes.baseAddress)?.assumingMemoryBound(to: UnsafeMutableRawPointer.self)
        memory = unsafe .tensors(
            UnsafeBufferPointer(start: start, count: planes.count), tokenOffset: tokenOffset, capacity: capacity)
    }

    /// A page whose first token is token `first` of these rows. Every plane must have an address.
    public init(rows: RowMemory, first: Int) { memory = .rows(rows, first: first, skipped: 0) }

    fileprivate init(_ memory: PageAddress) { self.memory = memory }

    /// The address of plane `plane`'s first token.
    @unsafe
    package func address(ofPlane plane: Int, _ layout: KVLayout) -> UnsafeRawPointer {
        unsafe UnsafeRawPointer(memory.address(ofPlane: plane, layout))
    }
}

/// The memory of one page in the caller's memory, to write to. It has the same two arrangements as `PageSource`, and
/// the same check of its room.
@safe
public struct PageTarget: Sendable {
    /// Where the planes lie.
    package let memory: PageAddress

    /// A page in one piece: plane `p` begins at `base + capacity * (bytes of one token in the planes before p)`.
    ///
    /// - Parameters:
    ///   - base: the address of the first token in the first plane.
    ///   - capacity: tokens that each plane has room for; at least the tokens written.
    @inline(never)
    public init(_ base: UnsafeMutableRawPointer, capacity: Int) {
        // Inlined, it leaves a part of the enum unwritten, and valgrind reports every copy of it.
        memory = unsafe .onePiece(base: base, capacity: capacity)
    }

    /// A page that lies in one tensor per plane; the parameters are those of
    /// `PageSource.init(planes:tokenOffset:capacity:)`.
    public init(planes: UnsafeBufferPointer<UnsafeMutableRawPointer>, tokenOffset: Int, capacity: Int) {
        memory = unsafe .tensors(planes, tokenOffset: tokenOffset, capacity: capacity)
    }

    /// The part of a page that goes to some tokens of these rows: its first `skipped` tokens go nowhere, the others to
    /// the tokens `tokens`.
    package init(rows: RowMemory, tokens: Range<Int>, skipped: Int, _ layout: KVLayout) {
        let packed = skipped == 0 ? rows.tensors(tokens, layout) : nil
        memory = packed ?? .rows(rows, first: tokens.lowerBound, skipped: skipped)
    }

    /// The address of plane `plane`'s first token.
    @unsafe
    package func address(ofPlane plane: Int, _ layout: KVLayout) -> UnsafeMutableRawPointer {
        unsafe memory.address(ofPlane: plane, layout)
    }

    /// The same memory, to read what was written.
    package var source: PageSource { PageSource(memory) }

    /// Copies the first `tokens` tokens of each plane from `source`, those that this target wants. Both must have room
    /// for them; they must not overlap, and one of them must have its planes packed.
    package func copy(tokens: Int, from source: PageSource, _ layout: KVLayout) {
        precondition(memory.misfit(tokens: tokens, layout) == nil, "a target without room")
        precondition(source.memory.misfit(tokens: tokens, layout) == nil, "a source without room")
        copy(0..<layout.planeCount, tokens: tokens, from: source, layout)
    }

    /// As `copy(tokens:from:_:)`, for some planes, without asking for room again.
    package func copy(_ planes: Range<Int>, tokens: Int, from source: PageSource, _ layout: KVLayout) {
        for plane in planes {
            let rowBytes = layout.bytesPerToken(inPlane: plane)
            if case .rows(let rows, let first, let skipped) = memory {
                guard tokens > skipped else { return }
                unsafe rows.write(
                    first..<first + tokens - skipped, ofPlane: plane, layout,
                    from: source.address(ofPlane: plane, layout) + skipped * rowBytes)
            } else if case .rows(let rows, let first, _) = source.memory {
                unsafe rows.read(
                    first..<first + tokens, ofPlane: plane, layout, to: address(ofPlane: plane, layout))
            } else {
                unsafe address(ofPlane: plane, layout).copyMemory(
                    from: source.address(ofPlane: plane, layout), byteCount: tokens * rowBytes)
            }
        }
    }
}
