// The values that the environment variable PFX_CPU may have.

internal import CLevel

/// The instruction sets that this process's kernels use.
package enum CPULevel {
    /// Refuses a `PFX_CPU` that names no level. If it were ignored, other kernels than the user wanted would run, and
    /// an engine whose results differ in their last bits would use another space.
    ///
    /// - Throws: `StoreError.invalidOption`.
    package static func check() throws(StoreError) {
        guard let name = unsafe clevel_unknown_name() else { return }
        throw .invalidOption("PFX_CPU is '\(unsafe String(cString: name))', not portable, avx2 or avx512")
    }
}
