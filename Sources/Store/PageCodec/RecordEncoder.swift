// Encoding pages, side states and blocks to records.

package import KVFormat

/// Encodes records. It holds contexts and scratch memory that every record reuses, so make one per thread. Not
/// thread-safe.
package final class RecordEncoder {
    private let frames: FrameEncoder
    private let salt: () -> SealBytes

    /// An encoder with the fastest kernels of this CPU.
    ///
    /// - Parameter salt: where the salts of sealed records come from. No salt may come twice; tests that compare bytes
    ///   give their own.
    package convenience init(salt: @escaping () -> SealBytes = SealBytes.random) { self.init(.chosen, salt: salt) }

    init(_ kernels: PlaneKernels, salt: @escaping () -> SealBytes = SealBytes.random) {
        frames = FrameEncoder(kernels)
        self.salt = salt
    }

    /// Encodes the first `tokens` tokens of a page into new memory. See `encode(page:tokens:layout:key:codec:into:)`.
    package func encode(
        page: PageSource, tokens: Int, layout: KVLayout, key: PrefixHash, codec: CodecChoice, seal: SpaceSeal? = nil
    ) -> EncodedRecord {
        let record = EncodedRecord()
        encode(page: page, tokens: tokens, layout: layout, key: key, codec: codec, seal: seal, into: record)
        return record
    }

    /// Encodes the first `tokens` tokens of a page.
    ///
    /// - Parameters:
    ///   - page: where the planes lie. It must not change until the call returns.
    ///   - tokens: 1 to `layout.pageSize`; exactly `pageSize` when the layout is opaque.
    ///   - key: the prefix hash that the record will be stored under.
    ///   - codec: what to try; frames that gain less than 1/64 are stored raw.
    ///   - seal: that of a sealed space: the record is encrypted.
    ///   - record: takes the bytes; what it held is gone.
    /// - Complexity: one pass over the page. Allocates nothing if `record` has held a page of this size before.
    package func encode(
        page: PageSource, tokens: Int, layout: KVLayout, key: PrefixHash, codec: CodecChoice, seal: SpaceSeal? = nil,
        into record: EncodedRecord
    ) {
        precondition(tokens >= 1 && tokens <= layout.pageSize, "a page of \(tokens) tokens")
        precondition(layout.isDivisible || tokens == layout.pageSize, "an opaque page is stored whole")
        precondition(page.memory.misfit(tokens: tokens, layout) == nil, "a source without room")
        let plan = FramePlan(layout, tokens: tokens)
        let header = RecordHeader(
            key: key, frameCount: plan.frameCount, tokens: tokens, kind: .page,
            flags: tokens < layout.pageSize ? RecordHeader.tailFlag : 0, element: .opaque,
            rawBytes: UInt64(layout.pageBytes(tokens: tokens)), encodedBytes: 0)
        var frames = plan.makeIterator()
        write(header, layout, codec, seal, into: record) { _ in
            guard let planes = frames.next(), let element = layout.element(ofPlanes: planes) else {
                preconditionFailure("a plan has its number of frames, of one element each")
            }
            let region = FrameRegion(layout: layout, planes: planes, tokens: tokens, element: element)
            return Frame(region: region, source: page, element: element, firstPlane: planes.lowerBound)
        }
    }

    /// Encodes a side state.
    ///
    /// - Parameters:
    ///   - sideState: at most `Limits.sideStateBytes`.
    ///   - key: the prefix hash it belongs to.
    ///   - name: its name; part of the record's own key.
    ///   - codec: what to try; frames that gain less than 1/64 are stored raw.
    ///   - record: takes the bytes; what it held is gone.
    package func encode(
        sideState: RawSpan, key: PrefixHash, name: String, codec: CodecChoice, seal: SpaceSeal? = nil,
        into record: EncodedRecord
    ) {
        let size = sideState.byteCount
        precondition(size <= Limits.sideStateBytes, "a side state of \(size) bytes")
        encode(sideState, .sideState, .opaque, key: .sideState(of: key, name: name), codec, seal, into: record)
    }

    /// Encodes a block.
    ///
    /// - Parameters:
    ///   - block: at most `Limits.blockBytes`, and a whole number of the element's groups.
    ///   - element: the type of its numbers.
    ///   - key: the block's hash, `PrefixHash.block(_:in:)`.
    ///   - codec: what to try; frames that gain less than 1/64 are stored raw.
    ///   - record: takes the bytes; what it held is gone.
    package func encode(
        block: RawSpan, element: KVElement, key: PrefixHash, codec: CodecChoice, seal: SpaceSeal? = nil,
        into record: EncodedRecord
    ) {
        let size = block.byteCount
        precondition(size <= Limits.blockBytes && size % element.groupBytes == 0, "a block of \(size) bytes")
        encode(block, .block, element, key: key, codec, seal, into: record)
    }

    private func encode(
        _ blob: RawSpan, _ kind: RecordHeader.Kind, _ element: KVElement, key: PrefixHash, _ codec: CodecChoice,
        _ seal: SpaceSeal?, into record: EncodedRecord
    ) {
        let size = blob.byteCount
        let header = RecordHeader(
            key: key, frameCount: BlobFrames.count(size), tokens: 0, kind: kind, flags: 0, element: element,
            rawBytes: UInt64(size), encodedBytes: 0)
        unsafe blob.withUnsafeBytes { bytes in
            write(header, nil, codec, seal, into: record) { frame in
                // A frame exists only when there are bytes, so there is a base address.
                guard let base = bytes.baseAddress else { preconditionFailure("a frame without bytes") }
                let range = BlobFrames.bytes(ofFrame: frame, size)
                let source = unsafe PageSource(base + range.lowerBound, capacity: range.count)
                return Frame(
                    region: BlobFrames.region(range.count, element), source: source, element: element,
                    firstPlane: frame)
            }
        }
    }

    /// What one entry of the frame table is about.
    private struct Frame {
        let region: FrameRegion
        let source: PageSource
        let element: KVElement
        let firstPlane: Int
    }

    private func write(
        _ header: RecordHeader, _ layout: KVLayout?, _ codec: CodecChoice, _ seal: SpaceSeal?,
        into record: EncodedRecord, frame: (Int) -> Frame
    ) {
        let key = header.key
        var complete = header
        var contentKey: ContentKey?
        if let seal {
            complete.flags |= RecordHeader.sealedFlag
            complete.salt = salt()
            contentKey = seal.recordKey(key, salt: complete.salt)
        }
        let start = FrameEntry.offset(header.frameCount)
        // No frame ends up longer than its raw bytes, so the room of one more than all frames is enough.
        let raw = Int(header.rawBytes)
        let room =
            start + raw + FrameEncoder.room(bytes: 0, width: 1) + 4 * ChunkWalk.maximumChunks(bytes: raw, width: 1)
        let target = unsafe record.reserve(room)
        var bytes = unsafe MutableRawSpan(_unsafeStart: target, byteCount: room)
        var position = start
        for index in 0..<header.frameCount {
            let frame = frame(index)
            let (used, size) = unsafe frames.encode(frame.region, frame.source, codec, into: target + position)
            let encoded = unsafe UnsafeMutableRawBufferPointer(start: target + position, count: size)
            let part = UInt64(index) + 1
            var entry = FrameEntry(
                codec: used.rawValue, element: frame.element, planeCount: frame.region.planes.count,
                firstPlane: frame.firstPlane, rawBytes: frame.region.rawBytes, encodedBytes: size, checksum: 0)
            if let contentKey {
                // The frame is still in the CPU's cache.
                entry.tag = unsafe contentKey.encrypt(encoded, number: part, known: encoded.bytes.extracting(0..<0))
            } else {
                entry.checksum = Checksum.of(unsafe encoded.bytes, key: key, part: part)
            }
            entry.write(to: &bytes, index: index)
            position += size
        }
        complete.encodedBytes = UInt64(position - start)
        complete.write(to: &bytes)
        if let contentKey {
            RecordHeader.setTag(&bytes, contentKey, frameCount: header.frameCount)
        } else {
            RecordHeader.setChecksum(&bytes, key: key, frameCount: header.frameCount)
        }
        record.finish(RecordShape(header: complete, layout: layout, contentKey: contentKey))
    }
}
