// One frame, from stored bytes to planes.

internal import KVFormat

/// Decodes frames whose checksum was verified, and trusts them no further than that: every size is checked before it is used.
/// Holds a context and scratch; one thread at a time.
@safe
struct FrameDecoder: ~Copyable {
    private let kernels: PlaneKernels
    private let zstd = ZstdDecompressor()
    private let top: UnsafeMutablePointer<UInt8>

    init(_ kernels: PlaneKernels) {
        self.kernels = kernels
        unsafe top = .allocate(capacity: ChunkWalk.maximum)
    }

    deinit { unsafe top.deallocate() }

    /// Decodes the first `tokens` tokens of each plane of `region`, stored as `stored`, into `target`.
    ///
    /// - Returns: false when the bytes are not what the codec writes; some of the planes may have been written then.
    borrowing func decode(
        _ stored: RawSpan, _ codec: FrameCodec, _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) -> Bool {
        switch codec {
        case .raw: copyPlanes(stored, region, tokens: tokens, into: target)
        case .zstd: region.layout.element.byteCount > 1 && decodeChunks(stored, region, tokens: tokens, into: target)
        case .zstdPlain:
            region.layout.element.byteCount == 1 && decodeChunks(stored, region, tokens: tokens, into: target)
        case .kbit: false
        }
    }

    private borrowing func copyPlanes(
        _ stored: RawSpan, _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) -> Bool {
        guard stored.byteCount == region.rawBytes else { return false }
        var position = 0
        for plane in region.planes {
            let perToken = region.layout.bytesPerToken(inPlane: plane)
            let wanted = stored.extracting(position..<position + tokens * perToken)
            unsafe wanted.withUnsafeBytes { wanted in
                guard let from = wanted.baseAddress else { return }
                unsafe target.address(ofPlane: plane, region.layout).copyMemory(from: from, byteCount: wanted.count)
            }
            position += region.tokens * perToken
        }
        return true
    }

    private borrowing func decodeChunks(
        _ stored: RawSpan, _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) -> Bool {
        let width = region.layout.element.byteCount
        var walk = ChunkWalk(region)
        var position = 0
        while let count = walk.nextChunk() {
            let lowBytes = (width - 1) * count
            guard stored.byteCount - position >= 4 else { return false }
            let size = Int(stored.little(position, as: UInt32.self))
            guard size <= count, stored.byteCount - position - 4 >= lowBytes + size else { return false }
            let chunk = stored.extracting(position + 4..<position + 4 + lowBytes + size)
            guard decodeChunk(chunk, count, &walk, region, tokens: tokens, into: target) else { return false }
            position += 4 + lowBytes + size
        }
        return position == stored.byteCount
    }

    /// Decodes one chunk of `count` elements: the low planes, then the top bytes. Takes the chunk's runs from `walk`.
    private borrowing func decodeChunk(
        _ chunk: RawSpan, _ count: Int, _ walk: inout ChunkWalk, _ region: FrameRegion, tokens: Int,
        into target: PageTarget
    ) -> Bool {
        let width = region.layout.element.byteCount
        return unsafe chunk.withUnsafeBytes { chunk in
            guard let low = unsafe chunk.bindMemory(to: UInt8.self).baseAddress else { return false }
            let coded = unsafe low + (width - 1) * count
            let size = chunk.count - (width - 1) * count
            // A chunk that gains nothing is stored as it is.
            let plain = size == count
            if !plain, unsafe !zstd.decompress(coded, size, to: top, count) { return false }
            let source = unsafe plain ? coded : UnsafePointer(top)
            var at = 0
            while let run = walk.nextRun() {
                let wanted = min(region.elements(ofPlane: run.plane, tokens: tokens) - run.first, run.count)
                if wanted > 0 {
                    let elements = unsafe target.address(ofPlane: run.plane, region.layout) + run.first * width
                    unsafe kernels.merge(
                        top: source + at, low: low + at, stride: count, width: width, count: wanted, to: elements)
                }
                at += run.count
            }
            return true
        }
    }
}
