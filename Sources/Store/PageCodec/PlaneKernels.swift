// The kernels of CPlanes, by element width.

internal import CLevel
internal import CPlanes

/// Splits elements into top bytes and low bytes, and merges them again. See `cplanes.h`.
struct PlaneKernels {
    let level: clevel

    /// The fastest kernels that this CPU and `PFX_CPU` allow.
    static var chosen: PlaneKernels { PlaneKernels(level: clevel_chosen()) }

    /// Splits `count` elements of `width` bytes (1, 2 or 4). The low planes lie `stride` bytes apart.
    @unsafe
    func split(
        _ source: UnsafeRawPointer, width: Int, count: Int, top: UnsafeMutablePointer<UInt8>,
        low: UnsafeMutablePointer<UInt8>, stride: Int
    ) {
        switch width {
        case 1: unsafe UnsafeMutableRawPointer(top).copyMemory(from: source, byteCount: count)
        case 2: unsafe cplanes_split16(level, source, count, top, low)
        case 4: unsafe cplanes_split32(level, source, count, top, low, stride)
        default: preconditionFailure("elements have 1, 2 or 4 bytes")
        }
    }

    /// Copies bytes. When the target `isCold`, that is larger than the caches and not read soon, it writes past them.
    /// Does the work `aside` meanwhile.
    @unsafe
    func copy(
        _ source: UnsafeRawPointer, _ count: Int, to target: UnsafeMutableRawPointer, isCold: Bool,
        _ aside: cplanes_aside
    ) {
        unsafe withUnsafePointer(to: aside) { unsafe cplanes_copy(level, source, count, target, isCold ? 1 : 0, $0) }
    }

    /// The inverse of `split`; `isCold` and `aside` as for `copy`.
    @unsafe
    func merge(
        top: UnsafePointer<UInt8>, low: UnsafePointer<UInt8>, stride: Int, width: Int, count: Int,
        to target: UnsafeMutableRawPointer, isCold: Bool, _ aside: cplanes_aside
    ) {
        let cold: Int32 = isCold ? 1 : 0
        unsafe withUnsafePointer(to: aside) { aside in
            switch width {
            case 1: unsafe cplanes_copy(level, top, count, target, cold, aside)
            case 2: unsafe cplanes_merge16(level, top, low, count, target, cold, aside)
            case 4: unsafe cplanes_merge32(level, top, low, stride, count, target, cold, aside)
            default: preconditionFailure("elements have 1, 2 or 4 bytes")
            }
        }
    }

    /// Chooses the values that get codes; see `cplanes_kbit_plan`.
    @unsafe
    func plan(_ top: UnsafePointer<UInt8>, count: Int, values: UnsafeMutablePointer<UInt8>) -> Int {
        unsafe Int(cplanes_kbit_plan(top, count, values))
    }

    /// Codes top bytes with `bits` bits each; see `cplanes_kbit_pack`.
    @unsafe
    func pack(
        _ top: UnsafePointer<UInt8>, count: Int, bits: Int, values: UnsafePointer<UInt8>,
        codes: UnsafeMutablePointer<UInt8>, escapes: UnsafeMutablePointer<UInt8>
    ) -> Int {
        unsafe cplanes_kbit_pack(level, top, count, Int32(bits), values, codes, escapes)
    }

    /// Decodes the top bytes of `chunk`, `count` of them; see `cplanes_kbit_unpack`.
    @unsafe
    func unpack(_ chunk: KbitChunk, count: Int, top: UnsafeMutablePointer<UInt8>) -> Bool {
        unsafe cplanes_kbit_unpack(
            level, chunk.codes, Int32(chunk.bits), chunk.values, chunk.escapes, chunk.escapeCount, count, top) == 1
    }

    /// Decodes the next `count` elements of 2 bytes of `codes` straight to where they go, and does `aside` meanwhile;
    /// see `cplanes_kbit_merge16`.
    @unsafe
    func merge16(
        _ codes: inout cplanes_kbit_codes, low: UnsafePointer<UInt8>, count: Int, to target: UnsafeMutableRawPointer,
        isCold: Bool, _ aside: cplanes_aside
    ) -> Bool {
        unsafe withUnsafePointer(to: aside) {
            unsafe cplanes_kbit_merge16(level, &codes, low, count, target, isCold ? 1 : 0, $0) == 1
        }
    }

    /// Makes a zstd frame of Huffman-coded literals; nil when zstd itself must try. See
    /// `cplanes_zstd_compress_literals`.
    @unsafe
    func zstdCompressLiterals(
        _ source: UnsafePointer<UInt8>, _ count: Int, to target: UnsafeMutablePointer<UInt8>, room: Int
    ) -> Int? {
        let size = unsafe cplanes_zstd_compress_literals(level, source, count, target, room)
        return size > 0 ? size : nil
    }

    /// Decodes a zstd frame of Huffman-coded literals; false when zstd itself must look at it. See
    /// `cplanes_zstd_literals`.
    @unsafe
    func zstdLiterals(
        _ source: UnsafePointer<UInt8>, _ size: Int, to target: UnsafeMutablePointer<UInt8>, _ count: Int,
        ahead: UnsafePointer<UInt8>, aheadCount: Int
    ) -> Bool {
        unsafe cplanes_zstd_literals(level, source, size, target, count, ahead, aheadCount) == 1
    }
}
