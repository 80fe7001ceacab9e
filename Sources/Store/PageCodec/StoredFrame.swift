// The bytes that a frame is decoded from, hashed while the decoder reads them.

internal import CHash
internal import CPlanes
internal import KVFormat

/// The encoded bytes of a frame, and how far their checksum has got. Allocated once and used for one frame after the
/// other; one thread at a time.
@safe
struct StoredFrame: ~Copyable {
    private let run: UnsafeMutablePointer<chash_run>

    init() {
        unsafe run = .allocate(capacity: 1)
        unsafe run.initialize(to: chash_run())
    }

    deinit { unsafe run.deallocate() }

    /// Begins a frame of `count` bytes that are stored at `place`, or that were checked and need no checksum. They must
    /// stay valid until the frame is finished.
    @unsafe
    borrowing func begin(_ bytes: UnsafePointer<UInt8>, _ count: Int, at place: (key: PrefixHash, part: UInt64)?) {
        guard let place else {
            unsafe run.pointee.start = bytes
            unsafe run.pointee.size = count
            unsafe run.pointee.hashed = 0
            // Nothing is hashed beyond the limit.
            unsafe run.pointee.limit = 0
            return
        }
        unsafe chash_run_begin(run, bytes, count, Checksum.seed(key: place.key, part: place.part))
    }

    /// The encoded bytes.
    var bytes: UnsafePointer<UInt8> { unsafe run.pointee.start }
    /// How many bytes there are.
    var count: Int { unsafe run.pointee.size }
    /// How many of the first bytes the checksum covers so far.
    var hashed: Int { unsafe run.pointee.hashed }

    /// Adds the bytes before `end` to the checksum, in whole units only.
    borrowing func hash(upTo end: Int) { unsafe chash_run_advance(run, end) }

    /// The same as an aside of a kernel, which also prefetches `ahead`, the bytes of the frame that are decoded next.
    borrowing func hashing(upTo end: Int, ahead: Range<Int>) -> cplanes_aside {
        let ahead = ahead.clamped(to: 0..<count)
        return unsafe cplanes_aside(
            run: run, until: end, ahead: bytes + ahead.lowerBound, ahead_size: ahead.count)
    }

    /// The checksum of all bytes.
    borrowing func checksum() -> UInt64 { unsafe chash_run_finish(run) }
}
