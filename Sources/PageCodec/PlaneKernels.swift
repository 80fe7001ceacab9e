// The kernels of CPlanes, by element width.

internal import CPlanes

/// Splits elements into top bytes and low bytes, and merges them again. See `cplanes.h`.
struct PlaneKernels {
    let level: cplanes_level

    /// The fastest that this CPU and `PFX_CPU` allow.
    static var chosen: PlaneKernels { PlaneKernels(level: cplanes_chosen_level()) }

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

    /// The inverse of `split`.
    @unsafe
    func merge(
        top: UnsafePointer<UInt8>, low: UnsafePointer<UInt8>, stride: Int, width: Int, count: Int,
        to target: UnsafeMutableRawPointer
    ) {
        switch width {
        case 1: unsafe target.copyMemory(from: top, byteCount: count)
        case 2: unsafe cplanes_merge16(level, top, low, count, target)
        case 4: unsafe cplanes_merge32(level, top, low, stride, count, target)
        default: preconditionFailure("elements have 1, 2 or 4 bytes")
        }
    }
}
