// The yardstick: OpenBLAS with the best kernels that it has for this CPU.

import COpenBLAS
import Glibc

enum OpenBLAS {
    /// OpenBLAS 0.3.21 takes CPUs that are newer than itself for a Prescott of 2004, and is five times slower for it.
    /// The choice is made when the library is loaded, so the process starts again with a better one in its environment.
    static func reopenWithKernelsForThisCPU() {
        guard coreName == "Prescott", unsafe getenv("OPENBLAS_CORETYPE") == nil else { return }
        unsafe setenv("OPENBLAS_CORETYPE", hasAVX512 ? "SkylakeX" : "Haswell", 1)
        unsafe execv("/proc/self/exe", CommandLine.unsafeArgv)
    }

    /// The kernels in use, by the CPU that they were written for.
    static var coreName: String { unsafe String(cString: openblas_get_corename()) }

    private static var hasAVX512: Bool {
        guard let file = unsafe fopen("/proc/cpuinfo", "r") else { return false }
        defer { unsafe _ = fclose(file) }
        var line = [CChar](repeating: 0, count: 8192)
        while unsafe fgets(&line, Int32(line.count), file) != nil {
            if unsafe strstr(line, "avx512f") != nil { return true }
        }
        return false
    }

    static func setThreads(_ count: Int) { openblas_set_num_threads(Int32(count)) }
}
