// The bytes that a frame is decoded from, hashed as the decoder comes to them.

internal import CPlanes
internal import KVFormat

/// The stored bytes of a frame, and how far its checksum has got.
@safe
struct StoredFrame {
    let bytes: UnsafePointer<UInt8>
    let count: Int
    private(set) var hashed = 0

    @unsafe
    init(_ bytes: UnsafePointer<UInt8>, _ count: Int) {
        unsafe self.bytes = bytes
        self.count = count
    }

    /// Bytes that are asked for ahead of a step: the CPU's own prefetching stops at the end of every 4 KiB page.
    private static let ahead = 4096

    /// `hash(upTo:_:)` for one of many small steps.
    mutating func step(to end: Int, _ checksum: borrowing ChecksumStream) {
        let from = min(hashed + Self.ahead, count)
        unsafe cplanes_prefetch(bytes + from, min(end - hashed, count - from))
        hash(upTo: end, checksum)
    }

    /// Adds to `checksum` what comes before `end` and was not added yet.
    mutating func hash(upTo end: Int, _ checksum: borrowing ChecksumStream) {
        guard end > hashed else { return }
        unsafe checksum.update(bytes + hashed, end - hashed)
        hashed = end
    }
}
