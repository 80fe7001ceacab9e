// One frame, in a record that is otherwise right: the decoders of all codecs.

import KVFormat

@testable import PageCodec

extension FuzzTarget {
    /// Codec, layout, tokens, whether it is sealed; then the encoded bytes of the one frame of a page.
    static let frame = FuzzTarget(
        name: "frame", subject: "frames of every codec, in records that are otherwise right", longest: 1 << 14,
        seeds: { seedsOfFrames() },
        run: { input in
            let codec = UInt8(input.byte() & 3)
            let choice = input.byte()
            let shape = Records.Shape((choice & 3) << 2 | choice & 16)
            let tokens = input.byte()
            let wanted = input.byte()
            let bytes = input.rest()
            guard let record = record(codec, shape, tokens: tokens, frame: bytes) else { return }
            Records.readAll(record, shape, tokens: wanted, input)
        })

    /// A page's record around one frame; nil for a layout whose pages have more.
    private static func record(_ codec: UInt8, _ shape: Records.Shape, tokens: Int, frame: [UInt8]) -> [UInt8]? {
        let layout = shape.layout
        let tokens = layout.isDivisible ? 1 + tokens % layout.pageSize : layout.pageSize
        guard let element = layout.element(ofPlanes: 0..<layout.planeCount) else { return nil }
        let raw = layout.pageBytes(tokens: tokens)
        let header = RecordHeader(
            key: shape.key, frameCount: 1, tokens: tokens, kind: .page,
            flags: tokens < layout.pageSize ? RecordHeader.tailFlag : 0, element: .opaque, rawBytes: UInt64(raw),
            encodedBytes: UInt64(frame.count))
        let entry = FrameEntry(
            codec: codec, element: element, planeCount: layout.planeCount, firstPlane: 0, rawBytes: raw,
            encodedBytes: frame.count, checksum: 0)
        var record = [UInt8](repeating: 0, count: FrameEntry.offset(1)) + frame
        record.withRaw { bytes in
            header.write(to: &bytes)
            entry.write(to: &bytes, index: 0)
        }
        Forging.forge(&record, key: shape.key, seal: shape.seal)
        return record
    }

    /// The frames of the seeds of `record` that have one.
    private static func seedsOfFrames() -> [[UInt8]] {
        Records.seeds().compactMap { seed in
            let shape = Records.Shape(Int(seed[1]))
            let record = Array(seed[2...])
            let header = RecordHeader(record.raw)
            guard shape.kind == .page, header.frameCount == 1 else { return nil }
            let entry = FrameEntry(record.raw, index: 0)
            let layout = seed[1] >> 2 & 3
            return [entry.codec, layout | seed[1] & 16, UInt8(header.tokens - 1), UInt8(header.tokens - 1)]
                + record[FrameEntry.offset(1)...]
        }
    }
}
