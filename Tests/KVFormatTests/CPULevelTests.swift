import CLevel
import Glibc
import KVFormat
import Testing

@Suite("The level of the kernels")
struct CPULevelTests {
    @Test("is refused by name when PFX_CPU names none", arguments: ["avx-2", "", "AVX2"])
    func unknown(name: String) async {
        await #expect(processExitsWith: .success) { [name] in
            unsafe setenv("PFX_CPU", name, 1)
            let expected = StoreError.invalidOption("PFX_CPU is '\(name)', not portable, avx2 or avx512")
            #expect(throws: expected) { try CPULevel.check() }
            #expect(clevel_chosen() == clevel_supported())
        }
    }

    @Test("is at most what PFX_CPU names, and never more than the CPU has")
    func lowered() async {
        await #expect(processExitsWith: .success) {
            unsafe setenv("PFX_CPU", "avx2", 1)
            #expect(throws: Never.self) { try CPULevel.check() }
            #expect(clevel_chosen().rawValue == min(CLEVEL_AVX2.rawValue, clevel_supported().rawValue))
        }
        await #expect(processExitsWith: .success) {
            unsafe setenv("PFX_CPU", "avx512", 1)
            #expect(clevel_chosen() == clevel_supported())
        }
    }
}
