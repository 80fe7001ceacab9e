// One frame from its record into the caller's memory, also where the rows of that memory are scattered.

internal import KVFormat
internal import PageCodec

/// A decoder, and room for one frame on its way to scattered rows. One thread at a time.
@safe
final class FrameLoader {
    let decoder = RecordDecoder()
    private var room: UnsafeMutableRawBufferPointer
    private var addresses: [UnsafeMutableRawPointer]

    init() {
        unsafe room = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        unsafe addresses = []
    }

    deinit { unsafe room.deallocate() }

    /// Decodes the first `tokens` tokens of the planes in a frame into `target`, as `RecordDecoder.decode` does.
    ///
    /// Decoders write planes whose rows lie side by side. For other targets the frame is decoded aside, and its rows
    /// are copied once it was found sound: scattered rows hold no byte of a damaged frame.
    func load(
        frame: Int, of record: borrowing RecordView, tokens: Int, _ layout: KVLayout, into target: PageTarget
    ) throws(RecordDamage) {
        guard !target.memory.isPacked else {
            return try decoder.decode(frame: frame, of: record, tokens: tokens, into: target)
        }
        let planes = record.planes(ofFrame: frame)
        placeRoom(for: planes, tokens: tokens, layout)
        // The list stays as it is until the next call.
        var damage: RecordDamage?
        unsafe addresses.withUnsafeBufferPointer { addresses in
            let aside = unsafe PageTarget(planes: addresses, tokenOffset: 0, capacity: tokens)
            do throws(RecordDamage) {
                try decoder.decode(frame: frame, of: record, tokens: tokens, into: aside)
                target.copy(planes, tokens: tokens, from: aside.source, layout)
            } catch {
                damage = error
            }
        }
        if let damage { throw damage }
    }

    /// Gives each of these planes a place in the room; the others have the address of its beginning, and are not
    /// written.
    private func placeRoom(for planes: Range<Int>, tokens: Int, _ layout: KVLayout) {
        let before = layout.bytesPerToken(beforePlane: planes.lowerBound)
        let size = tokens * (layout.bytesPerToken(beforePlane: planes.upperBound) - before)
        if unsafe room.count < size {
            unsafe room.deallocate()
            unsafe room = .allocate(byteCount: size, alignment: 64)
        }
        guard let base = unsafe room.baseAddress else { preconditionFailure("a frame has bytes") }
        unsafe addresses.removeAll(keepingCapacity: true)
        for plane in 0..<layout.planeCount {
            let offset = planes.contains(plane) ? tokens * (layout.bytesPerToken(beforePlane: plane) - before) : 0
            unsafe addresses.append(base + offset)
        }
    }
}
