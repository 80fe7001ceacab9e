// One frame, from encoded bytes to planes.

internal import CPlanes
internal import KVFormat

/// Decodes frames and computes their checksum on the way. It trusts none of its input: it checks every size before use.
/// It holds contexts and scratch memory, so only one thread at a time may use it.
@safe
struct FrameDecoder: ~Copyable {
    private let kernels: PlaneKernels
    private let zstd = ZstdDecompressor()
    private let frame = StoredFrame()
    private let top: UnsafeMutablePointer<UInt8>

    /// Whether a frame is so large that it is written past the caches: pages of such a large model are not read soon.
    private static func isCold(_ region: FrameRegion) -> Bool { region.rawBytes >= 256 << 10 }

    /// How many bytes of a frame are copied at a time, while the bytes that follow are prefetched.
    private static let copyBytes = 64 << 10

    init(_ kernels: PlaneKernels) {
        self.kernels = kernels
        unsafe top = .allocate(capacity: ChunkWalk.maximum)
    }

    deinit { unsafe top.deallocate() }

    /// Decodes the first `tokens` tokens of each plane of `region`, stored as `stored`, into `target`.
    ///
    /// - Parameter place: the key and the part number that the bytes are stored under; nil for bytes that were checked.
    /// - Returns: the checksum of `stored` there, which is computed on the way so that the bytes come from memory only
    ///   once; 0 without a place. The caller must compare it: until then the planes may hold anything. Nil when the
    ///   codec cannot have written the bytes; some of the planes may have been written then.
    borrowing func decode(
        _ stored: RawSpan, _ codec: FrameCodec, _ region: FrameRegion, tokens: Int, into target: PageTarget,
        checking place: (key: PrefixHash, part: UInt64)?
    ) -> UInt64? {
        guard codec == .raw || (codec == .zstdPlain) == (region.width == 1) else { return nil }
        let checksum: UInt64? = unsafe stored.withUnsafeBytes { bytes in
            guard let start = unsafe bytes.bindMemory(to: UInt8.self).baseAddress else { return nil }
            unsafe frame.begin(start, bytes.count, at: place)
            guard
                codec == .raw
                    ? unsafe copyPlanes(region, tokens: tokens, into: target)
                    : unsafe decodeChunks(codec, region, tokens: tokens, into: target)
            else { return nil }
            return place == nil ? 0 : frame.checksum()
        }
        // Only after this may another thread learn that the planes are there.
        cplanes_fence()
        return checksum
    }

    @unsafe
    private borrowing func copyPlanes(_ region: FrameRegion, tokens: Int, into target: PageTarget) -> Bool {
        guard frame.count == region.rawBytes else { return false }
        var position = 0
        for plane in region.planes {
            let perToken = region.layout.bytesPerToken(inPlane: plane)
            let address = unsafe target.address(ofPlane: plane, region.layout)
            for start in stride(from: 0, to: tokens * perToken, by: Self.copyBytes) {
                let count = min(Self.copyBytes, tokens * perToken - start)
                let end = position + start + count
                unsafe kernels.copy(
                    frame.bytes + position + start, count, to: address + start, isCold: Self.isCold(region),
                    frame.hashing(upTo: end, ahead: end..<end + Self.copyBytes))
            }
            position += region.tokens * perToken
        }
        return true
    }

    @unsafe
    private borrowing func decodeChunks(
        _ codec: FrameCodec, _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) -> Bool {
        let width = region.width
        var walk = ChunkWalk(region)
        var position = 0
        while let count = walk.nextChunk() {
            guard frame.count - position >= 4 else { return false }
            let head = unsafe UInt32(
                littleEndian: UnsafeRawPointer(frame.bytes + position).loadUnaligned(as: UInt32.self))
            let size = codec == .kbit ? KbitChunk.codedBytes(head, count: count) : Int(head) <= count ? Int(head) : nil
            guard let size, frame.count - position - 4 >= (width - 1) * count + size else { return false }
            let low = unsafe frame.bytes + position + 4
            let coded = unsafe low + (width - 1) * count
            position += 4 + (width - 1) * count + size
            if codec == .kbit {
                let chunk = unsafe KbitChunk(head, coded, count: count)
                guard
                    unsafe decodeByTable(
                        chunk, low, count, endingAt: position, &walk, region, tokens: tokens, into: target)
                else { return false }
                continue
            }
            // The first chunk was not prefetched: hashing brings it into the cache, where the decoder then finds it.
            if frame.hashed == 0 { frame.hash(upTo: position) }
            // Top bytes that would not become smaller are stored as they are.
            if size < count, unsafe !decompress(coded, size, count, ahead: position) { return false }
            let source = unsafe size < count ? UnsafePointer(top) : coded
            unsafe merge(
                source, low, count, frame.hashing(upTo: position, ahead: position..<position), &walk, region,
                tokens: tokens, into: target)
        }
        return position == frame.count
    }

    /// Decompresses a chunk's top bytes to `top`, and meanwhile prefetches the next chunk, which begins `ahead` bytes
    /// into the frame.
    @unsafe
    private borrowing func decompress(_ coded: UnsafePointer<UInt8>, _ size: Int, _ count: Int, ahead: Int) -> Bool {
        if unsafe kernels.zstdLiterals(
            coded, size, to: top, count, ahead: frame.bytes + ahead, aheadCount: frame.count - ahead)
        {
            return true
        }
        return unsafe zstd.decompress(coded, size, to: top, count)
    }

    /// Decodes a chunk of codes of fixed length, which ends `endingAt` bytes into the frame. One pass is enough when
    /// the whole chunk is wanted and goes to one place.
    @unsafe
    private borrowing func decodeByTable(
        _ chunk: KbitChunk, _ low: UnsafePointer<UInt8>, _ count: Int, endingAt end: Int,
        _ walk: inout ChunkWalk, _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) -> Bool {
        // The next chunk is about as long as this one.
        let aside = unsafe frame.hashing(upTo: end, ahead: end..<2 * end - frame.hashed)
        var next = walk
        if region.width == 2, tokens == region.tokens, chunk.bits > 0,
            let run = next.nextRun(), run.count == count
        {
            walk = next
            let elements = unsafe target.address(ofPlane: run.plane, region.layout) + run.first * 2
            var codes = unsafe chunk.begin()
            guard
                unsafe kernels.merge16(
                    &codes, low: low, count: count, to: elements, isCold: Self.isCold(region), aside)
            else { return false }
            return unsafe codes.escape_count == 0
        }
        if chunk.bits > 0, unsafe !kernels.unpack(chunk, count: count, top: top) { return false }
        let source = unsafe chunk.bits > 0 ? UnsafePointer(top) : chunk.escapes
        unsafe merge(source, low, count, aside, &walk, region, tokens: tokens, into: target)
        return true
    }

    /// Merges the planes of a chunk, for the wanted elements only. Takes the chunk's runs from `walk`.
    @unsafe
    private borrowing func merge(
        _ top: UnsafePointer<UInt8>, _ low: UnsafePointer<UInt8>, _ count: Int, _ aside: cplanes_aside,
        _ walk: inout ChunkWalk, _ region: FrameRegion, tokens: Int, into target: PageTarget
    ) {
        let width = region.width
        var at = 0
        while let run = walk.nextRun() {
            let wanted = min(region.elements(ofPlane: run.plane, tokens: tokens) - run.first, run.count)
            if wanted > 0 {
                let elements = unsafe target.address(ofPlane: run.plane, region.layout) + run.first * width
                unsafe kernels.merge(
                    top: top + at, low: low + at, stride: count, width: width, count: wanted, to: elements,
                    isCold: Self.isCold(region), aside)
            }
            at += run.count
        }
    }
}
