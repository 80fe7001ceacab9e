// The C kernels of this process, under Swift names.

import CEngine

/// Element types that weights and KV pages can have.
typealias Element = cengine_element

/// The build of the kernels that this process uses. It never changes while the process runs.
@safe
struct Kernels: @unchecked Sendable {
    // Unchecked: a table of functions that is constant for the life of the process.
    let table: UnsafePointer<cengine_kernels>

    /// The build that the CPU and the environment variable `PFX_CPU` select.
    static let current: Kernels = unsafe Kernels(table: cengine_kernels_get())

    /// The build called `name`, or nil when this CPU cannot run it.
    static func named(_ name: String) -> Kernels? {
        guard let table = unsafe cengine_kernels_named(name) else { return nil }
        return unsafe Kernels(table: table)
    }

    /// `avx512`, `avx2` or `portable`.
    var name: String { unsafe String(cString: table.pointee.name) }
}

extension TensorElementType {
    /// The kernels' name for the type.
    var kernelElement: Element {
        switch self {
        case .bf16: CENGINE_BF16
        case .fp16: CENGINE_FP16
        case .fp32: CENGINE_FP32
        }
    }
}
