// One frame, from planes to stored bytes.

internal import KVFormat

/// Encodes frames. Holds contexts and scratch; one thread at a time.
@safe
struct FrameEncoder: ~Copyable {
    private let kernels: PlaneKernels
    private let zstd = ZstdCompressor()
    private let top: UnsafeMutablePointer<UInt8>

    init(_ kernels: PlaneKernels) {
        self.kernels = kernels
        unsafe top = .allocate(capacity: ChunkWalk.maximum)
    }

    deinit { unsafe top.deallocate() }

    /// Room that `encode` needs for a frame of `bytes` raw bytes of elements of `width` bytes.
    static func room(bytes: Int, width: Int) -> Int {
        bytes + 4 * ChunkWalk.maximumChunks(bytes: bytes, width: width) + ZstdCompressor.bound(ChunkWalk.maximum)
    }

    /// Encodes the planes of `region` at `source` into `target`, which has the room that `room` says.
    ///
    /// - Returns: the codec that was used and the bytes written.
    @unsafe
    borrowing func encode(
        _ region: FrameRegion, _ source: PageSource, _ choice: CodecChoice, into target: UnsafeMutableRawPointer
    ) -> (codec: FrameCodec, byteCount: Int) {
        let raw = region.rawBytes
        if choice == .zstd, let size = unsafe encodeChunks(region, source, into: target, budget: raw - raw / 64) {
            return (region.layout.element.byteCount == 1 ? .zstdPlain : .zstd, size)
        }
        unsafe copyPlanes(region, source, into: target)
        return (.raw, raw)
    }

    @unsafe
    private borrowing func copyPlanes(
        _ region: FrameRegion, _ source: PageSource, into target: UnsafeMutableRawPointer
    ) {
        var position = 0
        for plane in region.planes {
            let size = region.tokens * region.layout.bytesPerToken(inPlane: plane)
            unsafe (target + position).copyMemory(from: source.address(ofPlane: plane, region.layout), byteCount: size)
            position += size
        }
    }

    /// Writes chunk after chunk: coded size (4 bytes), low planes, top bytes (coded, or as they are when that is no longer).
    ///
    /// - Returns: the bytes written; nil as soon as they reach `budget`, since the frame is then stored raw.
    @unsafe
    private borrowing func encodeChunks(
        _ region: FrameRegion, _ source: PageSource, into target: UnsafeMutableRawPointer, budget: Int
    ) -> Int? {
        let width = region.layout.element.byteCount
        var walk = ChunkWalk(region)
        var position = 0
        while let count = walk.nextChunk() {
            let low = unsafe (target + position + 4).assumingMemoryBound(to: UInt8.self)
            var at = 0
            while let run = walk.nextRun() {
                let elements = unsafe source.address(ofPlane: run.plane, region.layout) + run.first * width
                unsafe kernels.split(
                    elements, width: width, count: run.count, top: top + at, low: low + at, stride: count)
                at += run.count
            }
            let coded = unsafe UnsafeMutableRawPointer(low + (width - 1) * count)
            let size = unsafe zstd.compress(top, count, to: coded)
            if size == nil { unsafe coded.copyMemory(from: top, byteCount: count) }
            unsafe (target + position).storeBytes(of: UInt32(size ?? count).littleEndian, as: UInt32.self)
            position += 4 + (width - 1) * count + (size ?? count)
            if position > budget { return nil }
        }
        return position
    }
}
