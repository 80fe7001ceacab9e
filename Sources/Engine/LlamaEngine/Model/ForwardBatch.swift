// What one forward pass computes.

/// A run of new tokens of one sequence.
struct Segment {
    /// The tokens to compute.
    let tokens: ArraySlice<UInt32>
    /// The position of the first one. The KV of all positions before it is in `pages`.
    let position: Int
    /// The sequence's pages from position 0 on, with room for the new tokens.
    let pages: [KVPage]
    /// The new tokens for which logits are wanted, counted from the first of the run.
    let logits: Range<Int>

    /// The position after the last token.
    var end: Int { position + tokens.count }
}

/// Runs of several sequences, one below the other in the rows of the activations.
@safe
struct ForwardBatch {
    let segments: [Segment]
    /// Each row's token.
    let tokens: [UInt32]
    /// Each row's position in its sequence.
    let positions: [Int]
    /// Each row's page.
    let pages: [UnsafeMutableRawPointer]
    /// The rows for which logits are wanted.
    let logitRows: [Int]
    /// Each segment's page addresses, for the attention kernel.
    let pageTables: [[UnsafeRawPointer?]]

    /// Lays the runs out.
    init(_ segments: [Segment], pageSize: Int) {
        var tokens: [UInt32] = []
        var positions: [Int] = []
        var pages: [UnsafeMutableRawPointer] = unsafe []
        var logitRows: [Int] = []
        for segment in segments {
            logitRows += segment.logits.map { tokens.count + $0 }
            tokens += segment.tokens
            for position in segment.position..<segment.end {
                positions.append(position)
                unsafe pages.append(segment.pages[position / pageSize].base)
            }
        }
        self.segments = segments
        self.tokens = tokens
        self.positions = positions
        unsafe self.pages = unsafe pages
        self.logitRows = logitRows
        unsafe pageTables = segments.map { segment in unsafe segment.pages.map { unsafe UnsafeRawPointer($0.base) } }
    }

    /// Number of rows.
    var rowCount: Int { tokens.count }
}
