// One frame, from planes to encoded bytes.

internal import KVFormat

/// Encodes frames. It holds contexts and scratch memory, so only one thread at a time may use it.
@safe
struct FrameEncoder: ~Copyable {
    private let kernels: PlaneKernels
    private let exponentCompressor = ZstdCompressor(.exponents)
    private let byteCompressor = ZstdCompressor(.bytes)
    private let top: UnsafeMutablePointer<UInt8>
    /// The memory in which `auto` tries a second codec.
    private let trial = EncodedRecord()

    init(_ kernels: PlaneKernels) {
        self.kernels = kernels
        unsafe top = .allocate(capacity: ChunkWalk.maximum)
    }

    deinit { unsafe top.deallocate() }

    /// The room that `encode` needs for a frame of `bytes` raw bytes with elements of `width` bytes.
    static func room(bytes: Int, width: Int) -> Int {
        bytes + 4 * ChunkWalk.maximumChunks(bytes: bytes, width: width)
            + max(ZstdCompressor.bound(ChunkWalk.maximum), KbitChunk.bound(ChunkWalk.maximum))
    }

    /// The most bytes to which a frame of `raw` bytes may be coded: a gain of less than 1/64 is not worth decoding.
    private static func budget(_ raw: Int) -> Int { raw - max(raw / 64, 1) }

    /// Encodes the planes of `region` at `source` into `target`, which has as much room as `room` says.
    ///
    /// - Returns: the codec that was used and the bytes written.
    @unsafe
    borrowing func encode(
        _ region: FrameRegion, _ source: PageSource, _ choice: CodecChoice, into target: UnsafeMutableRawPointer
    ) -> (codec: FrameCodec, byteCount: Int) {
        let raw = region.rawBytes
        if case .auto(let rates) = choice {
            if let best = unsafe encodeBest(region, source, CodecPolicy(rates: rates), into: target) { return best }
        } else if let codec = choice.codec(elementWidth: region.width), codec != .raw,
            let size = unsafe encodeChunks(region, source, codec, into: target, budget: Self.budget(raw))
        {
            return (codec, size)
        }
        unsafe copyPlanes(region, source, into: target)
        return (.raw, raw)
    }

    /// Encodes with the codec that loads fastest; nil when that is raw. A codec that cannot win is not tried, and a
    /// trial stops as soon as its codec cannot win any more.
    @unsafe
    private borrowing func encodeBest(
        _ region: FrameRegion, _ source: PageSource, _ policy: CodecPolicy, into target: UnsafeMutableRawPointer
    ) -> (codec: FrameCodec, byteCount: Int)? {
        let (raw, width) = (region.rawBytes, region.width)
        var best = (codec: FrameCodec.raw, byteCount: raw)
        for codec in CodecPolicy.candidates(width: width) {
            let budget = min(
                policy.budget(codec, against: best.codec, storing: best.byteCount, raw: raw), Self.budget(raw))
            guard budget > CodecPolicy.floor(raw: raw, width: width) else { continue }
            // The best result so far stays in the target until a better one is complete.
            let place = unsafe best.codec == .raw ? target : trial.reserve(Self.room(bytes: raw, width: width))
            let isTrial = unsafe place != target
            let size = unsafe encodeChunks(region, source, codec, into: place, budget: budget, isTrial: isTrial)
            guard let size else { continue }
            if isTrial { unsafe target.copyMemory(from: place, byteCount: size) }
            best = (codec, size)
        }
        return best.codec == .raw ? nil : best
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

    /// Writes chunk after chunk: head (4 bytes), low planes, coded top bytes.
    ///
    /// - Parameter isTrial: whether there is a result already. Then it ends too as soon as the chunks so far are a
    ///   sixteenth above their share of the budget: a trial that fails only at its end takes longer than the encoding.
    /// - Returns: the bytes written; nil as soon as they reach `budget`, because the frame is then stored raw.
    @unsafe
    private borrowing func encodeChunks(
        _ region: FrameRegion, _ source: PageSource, _ codec: FrameCodec, into target: UnsafeMutableRawPointer,
        budget: Int, isTrial: Bool = false
    ) -> Int? {
        let width = region.width
        var walk = ChunkWalk(region)
        var position = 0
        var done = 0
        while let count = walk.nextChunk() {
            let low = unsafe (target + position + 4).assumingMemoryBound(to: UInt8.self)
            var at = 0
            while let run = walk.nextRun() {
                let elements = unsafe source.address(ofPlane: run.plane, region.layout) + run.first * width
                unsafe kernels.split(
                    elements, width: width, count: run.count, top: top + at, low: low + at, stride: count)
                at += run.count
            }
            let coded = unsafe low + (width - 1) * count
            let (head, size) =
                switch codec {
                case .kbit: unsafe codeByTable(count, to: coded)
                default: unsafe codeByZstd(count, width == 1 ? .bytes : .exponents, to: coded)
                }
            unsafe (target + position).storeBytes(of: head.littleEndian, as: UInt32.self)
            position += 4 + (width - 1) * count + size
            done += count * width
            if position > budget || isTrial && 16 * position * region.rawBytes > 17 * budget * done { return nil }
        }
        return position
    }

    /// Codes the first `count` bytes of `top` with zstd, or stores them as they are if that is not longer. The head is
    /// the coded size.
    @unsafe
    private borrowing func codeByZstd(
        _ count: Int, _ content: ZstdCompressor.Content, to coded: UnsafeMutablePointer<UInt8>
    ) -> (UInt32, Int) {
        let size: Int?
        switch content {
        case .bytes: size = unsafe byteCompressor.compress(top, count, to: coded)
        case .exponents:
            size =
                unsafe kernels.zstdCompressLiterals(top, count, to: coded, room: ZstdCompressor.bound(count))
                ?? exponentCompressor.compress(top, count, to: coded)
        }
        if let size { return (UInt32(size), size) }
        unsafe UnsafeMutableRawPointer(coded).copyMemory(from: top, byteCount: count)
        return (UInt32(count), count)
    }

    /// Codes the first `count` bytes of `top` with codes of fixed length.
    @unsafe
    private borrowing func codeByTable(_ count: Int, to coded: UnsafeMutablePointer<UInt8>) -> (UInt32, Int) {
        var values = InlineArray<64, UInt8>(repeating: 0)
        var span = values.mutableSpan
        return unsafe span.withUnsafeMutableBufferPointer { values in
            guard let values = values.baseAddress else { preconditionFailure("an array of 64 has an address") }
            let bits = unsafe kernels.plan(top, count: count, values: values)
            guard bits > 0 else {
                unsafe UnsafeMutableRawPointer(coded).copyMemory(from: top, byteCount: count)
                return (KbitChunk.head(bits: 0, escapeCount: count), count)
            }
            let valueBytes = (1 << bits) - 1
            unsafe UnsafeMutableRawPointer(coded).copyMemory(from: values, byteCount: valueBytes)
            let codes = unsafe coded + valueBytes
            let codeBytes = KbitChunk.codeBytes(bits: bits, count: count)
            let escaped = unsafe kernels.pack(
                top, count: count, bits: bits, values: values, codes: codes, escapes: codes + codeBytes)
            return (KbitChunk.head(bits: bits, escapeCount: escaped), valueBytes + codeBytes + escaped)
        }
    }
}
