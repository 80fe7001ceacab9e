// How a frame is cut into chunks, for the codecs that split planes.

internal import KVFormat

/// The part of a page that one frame holds: consecutive planes of one element.
struct FrameRegion {
    let layout: KVLayout
    let planes: Range<Int>
    /// How many tokens of each plane the record holds.
    let tokens: Int
    /// Bytes of one unit that the codecs split: `KVElement.codecWidth`.
    let width: Int

    init(layout: KVLayout, planes: Range<Int>, tokens: Int, element: KVElement) {
        self.layout = layout
        self.planes = planes
        self.tokens = tokens
        width = element.codecWidth
    }

    /// Elements of plane `plane` in the first `tokens` tokens.
    func elements(ofPlane plane: Int, tokens: Int) -> Int {
        tokens * layout.bytesPerToken(inPlane: plane) / width
    }

    /// Bytes of the frame before encoding.
    var rawBytes: Int {
        tokens
            * (layout.bytesPerToken(beforePlane: planes.upperBound)
                - layout.bytesPerToken(beforePlane: planes.lowerBound))
    }
}

/// Consecutive elements of one plane.
struct ElementRun {
    let plane: Int
    let first: Int
    let count: Int
}

/// Walks a frame chunk by chunk, and each chunk run by run.
///
/// A chunk's top bytes share one Huffman table, and its scratch memory fits the L1 and L2 caches. A chunk ends with its
/// plane, because keys and values are distributed differently (1 % of size), or at 65,536 elements. Only if it would
/// have fewer than 16,384 elements, it continues into the next plane, because a table costs about 100 bytes.
struct ChunkWalk {
    static let maximum = 65_536
    static let minimum = 16_384

    private let region: FrameRegion
    private var plane: Int
    private var element = 0
    private var left = 0

    init(_ region: FrameRegion) {
        self.region = region
        plane = region.planes.lowerBound
    }

    /// The most chunks that `bytes` bytes of elements of `width` bytes can make.
    static func maximumChunks(bytes: Int, width: Int) -> Int { bytes / width / minimum + 1 }

    /// Goes to the next chunk. All runs of the previous one must have been taken.
    ///
    /// - Returns: the elements of the chunk, or nil after the last.
    mutating func nextChunk() -> Int? {
        precondition(left == 0, "a chunk was left half-way")
        guard plane < region.planes.upperBound else { return nil }
        var (at, from) = (plane, element)
        repeat {
            let rest = region.elements(ofPlane: at, tokens: region.tokens) - from
            left += min(rest, Self.maximum - left)
            (at, from) = (at + 1, 0)
        } while left < Self.minimum && at < region.planes.upperBound
        return left
    }

    /// The next run of the chunk, or nil at its end.
    mutating func nextRun() -> ElementRun? {
        guard left > 0 else { return nil }
        let rest = region.elements(ofPlane: plane, tokens: region.tokens) - element
        let run = ElementRun(plane: plane, first: element, count: min(rest, left))
        left -= run.count
        element += run.count
        if run.count == rest { (plane, element) = (plane + 1, 0) }
        return run
    }
}
