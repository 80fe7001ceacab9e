// One frame, from stored bytes to planes.

internal import KVFormat

/// Decodes frames whose checksum was verified, and trusts them no further than that: every size is checked before it is
/// used. Holds a context and scratch; one thread at a time.
@safe
struct FrameDecoder: ~Copyable {
    private let kernels: PlaneKernels
    private let zstd = ZstdDecompressor()
    private let top: UnsafeMutablePointer<UInt8>

    /// Raw bytes of a frame from which on it is written past the caches: pages of so large a model are not read soon.
    private static func isCold(_ region: FrameRegion) -> Bool { region.rawBytes >= 256 << 10 }

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
        if codec == .raw { return copyPlanes(stored, region, tokens: tokens, into: target) }
        guard (codec == .zstdPlain) == (region.layout.element.byteCount == 1) else { return false }
        return decodeChunks(stored, codec, region, tokens: tokens, into: target)
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
                let address = unsafe target.address(ofPlane: plane, region.layout)
                unsafe kernels.copy(from, wanted.count, to: address, isCold: Self.isCold(region))
            }
            position += region.tokens * perToken
        }
        return true
    }

    private borrowing func decodeChunks(
        _ stored: RawSpan, _ codec: FrameCodec, _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) -> Bool {
        let width = region.layout.element.byteCount
        var walk = ChunkWalk(region)
        var position = 0
        while let count = walk.nextChunk() {
            guard stored.byteCount - position >= 4 else { return false }
            let head = stored.little(position, as: UInt32.self)
            let size = codec == .kbit ? KbitChunk.codedBytes(head, count: count) : Int(head) <= count ? Int(head) : nil
            guard let size, stored.byteCount - position - 4 >= (width - 1) * count + size else { return false }
            let end = position + 4 + (width - 1) * count + size
            let done = unsafe stored.extracting(position + 4..<end).withUnsafeBytes { chunk in
                guard let low = unsafe chunk.bindMemory(to: UInt8.self).baseAddress else { return false }
                let coded = unsafe low + (width - 1) * count
                if codec == .kbit {
                    let chunk = unsafe KbitChunk(head, coded, count: count)
                    return unsafe decodeByTable(chunk, low, count, &walk, region, tokens: tokens, into: target)
                }
                // Top bytes that gain nothing are stored as they are.
                if size < count, unsafe !zstd.decompress(coded, size, to: top, count) { return false }
                let source = unsafe size < count ? UnsafePointer(top) : coded
                unsafe merge(source, low, count, &walk, region, tokens: tokens, into: target)
                return true
            }
            guard done else { return false }
            position = end
        }
        return position == stored.byteCount
    }

    /// Decodes a chunk of codes of fixed length: in one pass when it is wanted whole and goes to one place.
    @unsafe
    private borrowing func decodeByTable(
        _ chunk: KbitChunk, _ low: UnsafePointer<UInt8>, _ count: Int, _ walk: inout ChunkWalk, _ region: FrameRegion,
        tokens: Int, into target: PageTarget
    ) -> Bool {
        var ahead = walk
        if region.layout.element.byteCount == 2, tokens == region.tokens, chunk.bits > 0,
            let run = ahead.nextRun(), run.count == count
        {
            walk = ahead
            let elements = unsafe target.address(ofPlane: run.plane, region.layout) + run.first * 2
            return unsafe kernels.merge16(chunk, low: low, count: count, to: elements, isCold: Self.isCold(region))
        }
        if chunk.bits > 0, unsafe !kernels.unpack(chunk, count: count, top: top) { return false }
        let source = unsafe chunk.bits > 0 ? UnsafePointer(top) : chunk.escapes
        unsafe merge(source, low, count, &walk, region, tokens: tokens, into: target)
        return true
    }

    /// Merges the planes of a chunk, as far as its elements are wanted. Takes the chunk's runs from `walk`.
    @unsafe
    private borrowing func merge(
        _ top: UnsafePointer<UInt8>, _ low: UnsafePointer<UInt8>, _ count: Int, _ walk: inout ChunkWalk,
        _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) {
        let width = region.layout.element.byteCount
        var at = 0
        while let run = walk.nextRun() {
            let wanted = min(region.elements(ofPlane: run.plane, tokens: tokens) - run.first, run.count)
            if wanted > 0 {
                let elements = unsafe target.address(ofPlane: run.plane, region.layout) + run.first * width
                unsafe kernels.merge(
                    top: top + at, low: low + at, stride: count, width: width, count: wanted, to: elements,
                    isCold: Self.isCold(region))
            }
            at += run.count
        }
    }
}
