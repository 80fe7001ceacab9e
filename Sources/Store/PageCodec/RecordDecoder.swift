// Decoding records to pages, side states and blocks.

package import KVFormat

/// Decodes records. It holds a context and scratch memory that every record reuses, so make one per thread. Not
/// thread-safe, but several decoders may decode different frames of one record at the same time.
package final class RecordDecoder {
    private let frames: FrameDecoder
    /// Memory for a frame whose bytes go to several places; taken when the first such frame comes.
    private var scratch: [UInt8] = []
    /// Memory for a frame of a sealed record after decryption: it stays in the CPU's cache until it is decoded.
    private var plain: [UInt8] = []

    /// A decoder with the fastest kernels of this CPU.
    package convenience init() { self.init(.chosen) }

    init(_ kernels: PlaneKernels) { frames = FrameDecoder(kernels) }

    /// Decodes the first `tokens` tokens of all layers, the first layers first.
    ///
    /// - Parameters:
    ///   - record: a page's record.
    ///   - tokens: 1 to `record.tokens`. It may be less than `record.tokens` only when the layout can be cut.
    ///   - target: memory with room for `tokens` tokens of each plane. Nothing outside it is written.
    /// - Throws: the damage of the first frame that fails. `target` may have been written in part by then.
    /// - Complexity: one pass over the encoded bytes and one over the page; nothing is allocated.
    package func decode(_ record: borrowing RecordView, tokens: Int, into target: PageTarget) throws(RecordDamage) {
        for frame in 0..<record.frameCount { try decode(frame: frame, of: record, tokens: tokens, into: target) }
    }

    /// Decodes the first `tokens` tokens of the planes in frame `frame`, which `record.planes(ofFrame:)` names.
    ///
    /// The parameters and errors are those of `decode(_:tokens:into:)`; only this frame's planes of `target` are
    /// written.
    package func decode(
        frame: Int, of record: borrowing RecordView, tokens: Int, into target: PageTarget
    ) throws(RecordDamage) {
        guard let layout = record.layout else { preconditionFailure("a blob is no page") }
        precondition(frame >= 0 && frame < record.frameCount, "no such frame")
        precondition(tokens >= 1 && tokens <= record.tokens, "\(tokens) tokens of a page of \(record.tokens)")
        precondition(layout.isDivisible || tokens == record.tokens, "an opaque page is read whole")
        precondition(target.memory.misfit(tokens: tokens, layout) == nil, "a target without room")
        try decode(frame, record, tokens: tokens, into: target)
    }

    /// Decodes a side state or block.
    ///
    /// - Parameters:
    ///   - record: the record of a side state or block.
    ///   - target: exactly `record.rawByteCount` bytes.
    /// - Throws: the damage of the first frame that fails. `target` may have been written in part by then.
    package func decode(blob record: borrowing RecordView, into target: inout MutableRawSpan) throws(RecordDamage) {
        precondition(record.layout == nil, "a page is no blob")
        precondition(target.byteCount == record.rawByteCount, "a target of \(target.byteCount) bytes")
        var damage: RecordDamage?
        unsafe target.withUnsafeMutableBytes { target in
            do throws(RecordDamage) {
                for frame in 0..<record.frameCount {
                    // A frame exists only when there are bytes, so there is a base address.
                    guard let base = target.baseAddress else { return }
                    let place = unsafe PageTarget(base + frame * BlobFrames.frameBytes, capacity: BlobFrames.frameBytes)
                    try decode(frame, record, tokens: record.region(ofFrame: frame).tokens, into: place)
                }
            } catch {
                damage = error
            }
        }
        if let damage { throw damage }
    }

    /// Decodes frame `frame` of a block to where its bytes lie in `target`.
    ///
    /// A frame that lies in one part of the target is decoded straight into it; one that crosses from a part to the
    /// next is decoded beside, and copied while it is in the CPU's cache.
    ///
    /// - Parameter target: `record.rawByteCount` bytes, exactly.
    /// - Throws: the damage of the frame; its part of `target` may have been written by then.
    package func decode(
        frame: Int, ofBlock record: borrowing RecordView, into target: BlockTarget
    ) throws(RecordDamage) {
        precondition(record.layout == nil, "a page is no block")
        precondition(frame >= 0 && frame < record.frameCount, "no such frame")
        precondition(target.byteCount == record.rawByteCount, "a target of \(target.byteCount) bytes")
        let range = BlobFrames.bytes(ofFrame: frame, record.rawByteCount)
        let tokens = record.region(ofFrame: frame).tokens
        if let base = unsafe target.piece(range) {
            return try decode(frame, record, tokens: tokens, into: unsafe PageTarget(base, capacity: range.count))
        }
        if scratch.isEmpty { scratch = [UInt8](repeating: 0, count: BlobFrames.frameBytes) }
        var damage: RecordDamage?
        unsafe scratch.withUnsafeMutableBytes { room in
            guard let base = room.baseAddress else { return }
            do throws(RecordDamage) {
                try decode(frame, record, tokens: tokens, into: unsafe PageTarget(base, capacity: range.count))
            } catch {
                damage = error
                return
            }
            unsafe target.write(UnsafeRawBufferPointer(rebasing: room[..<range.count]), to: range)
        }
        if let damage { throw damage }
    }

    private func decode(
        _ frame: Int, _ record: borrowing RecordView, tokens: Int, into target: PageTarget
    ) throws(RecordDamage) {
        let entry = FrameEntry(record.bytes, index: frame)
        guard let codec = FrameCodec(rawValue: entry.codec) else { throw .undecodable(frame: frame) }
        guard record.contentKey == nil else {
            return try decodeSealed(frame, record, codec, tokens: tokens, into: target)
        }
        guard
            let checksum = frames.decode(
                record.uncheckedBytes(ofFrame: frame), codec, record.region(ofFrame: frame), tokens: tokens,
                into: target, checking: (record.header.key, UInt64(frame) + 1))
        else {
            // If the decoder refuses bytes, they were more likely damaged later than written this way. So check the
            // checksum first.
            try record.check(frame: frame)
            throw .undecodable(frame: frame)
        }
        guard checksum == entry.checksum else { throw .badChecksum(frame: frame) }
    }

    /// Decrypts a frame, and decodes it only when nothing of it was changed.
    private func decodeSealed(
        _ frame: Int, _ record: borrowing RecordView, _ codec: FrameCodec, tokens: Int, into target: PageTarget
    ) throws(RecordDamage) {
        let size = record.uncheckedBytes(ofFrame: frame).byteCount
        if plain.count < size { plain = [UInt8](repeating: 0, count: size) }
        guard unsafe plain.withUnsafeMutableBytes({ unsafe record.open(frame, to: $0.baseAddress) }) else {
            throw .badChecksum(frame: frame)
        }
        let region = record.region(ofFrame: frame)
        let isDecoded = unsafe plain.withUnsafeBytes { plain in
            frames.decode(
                unsafe plain.bytes.extracting(0..<size), codec, region, tokens: tokens, into: target, checking: nil)
                != nil
        }
        guard isDecoded else { throw .undecodable(frame: frame) }
    }
}
