// The kernels alone: exact, and the same at every level.

import CHash
import CLevel
import CPlanes
import Glibc
import KVFormat
import Testing
import TestKit

@testable import PageCodec

@Suite("The plane kernels")
struct KernelTests {
    static let levels: [PlaneKernels] = [CLEVEL_PORTABLE, CLEVEL_AVX2, CLEVEL_AVX512, CLEVEL_AVX512_VBMI2]
        .filter { $0.rawValue <= clevel_supported().rawValue }.map { PlaneKernels(level: $0) }

    /// Splits and merges `elements`, hashing `aside` on the way, to memory aligned to 64 bytes plus `misaligned`;
    /// returns the planes and the merged bytes.
    private func roundTrip(
        _ elements: [UInt8], width: Int, _ kernels: PlaneKernels, isCold: Bool = false, misaligned: Int = 0,
        aside: [UInt8] = [0]
    ) -> (planes: [UInt8], back: [UInt8]) {
        let count = elements.count / width
        var planes = [UInt8](repeating: 0, count: width * count + 1)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: elements.count + 192, alignment: 64)
        defer { unsafe memory.deallocate() }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xA5)
        unsafe planes.withUnsafeMutableBufferPointer { planes in
            guard let top = planes.baseAddress, let target = memory.baseAddress else { return }
            unsafe elements.withUnsafeBytes { source in
                guard let source = source.baseAddress else { return }
                unsafe kernels.split(source, width: width, count: count, top: top, low: top + count, stride: count)
            }
            withFrame(aside) { frame in
                unsafe kernels.merge(
                    top: top, low: top + count, stride: count, width: width, count: count, to: target + 64 + misaligned,
                    isCold: isCold, frame.hashing(upTo: aside.count / 2, ahead: 0..<aside.count))
                frame.expectHashed(upTo: aside.count / 2)
            }
        }
        let bytes = unsafe [UInt8](memory)
        let (start, end) = (64 + misaligned, 64 + misaligned + elements.count)
        #expect(bytes[..<start].allSatisfy { $0 == 0xA5 } && bytes[end...].allSatisfy { $0 == 0xA5 })
        return (Array(planes.dropLast()), Array(bytes[start..<end]))
    }

    @Test("keep all 65,536 values of 16 bits, and put the exponent of bf16 on top", arguments: 0..<levels.count)
    func everySixteenBitValue(level: Int) {
        let elements = (0...UInt16.max).flatMap { [UInt8(truncatingIfNeeded: $0), UInt8(truncatingIfNeeded: $0 >> 8)] }
        let (planes, back) = roundTrip(elements, width: 2, Self.levels[level])
        #expect(back == elements)
        let exponents = (0...UInt16.max).map { UInt8(truncatingIfNeeded: $0 >> 7) }
        #expect(Array(planes.prefix(65_536)) == exponents)
    }

    @Test(
        "keep random values of 32 bits, NaN payloads among them, and put the exponent on top",
        arguments: 0..<levels.count)
    func thirtyTwoBitValues(level: Int) {
        var random = SplitMix64(seed: TestSeed.fresh("32-bit kernel"))
        var values = (0..<200_000).map { _ in UInt32(truncatingIfNeeded: random.next()) }
        values += (0..<20_000).map { _ in UInt32(truncatingIfNeeded: random.next()) | 0x7F80_0000 }
        values += [0, 0x8000_0000, 1, 0x8000_0001, 0x7F80_0000, 0xFF80_0000, 0x7FC0_0001, 0xFFFF_FFFF]
        let elements = values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) } }
        let (planes, back) = roundTrip(elements, width: 4, Self.levels[level])
        #expect(back == elements)
        #expect(Array(planes.prefix(values.count)) == values.map { UInt8(truncatingIfNeeded: $0 >> 23) })
    }

    @Test("give the portable kernels' bytes at every level, for every length and alignment", arguments: [1, 2, 4])
    func levelsAgree(width: Int) throws {
        var random = SplitMix64(seed: TestSeed.fresh("kernel lengths"))
        let noise = (0..<4 * 9_010).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        let portable = try #require(Self.levels.first)
        for length in Array(0..<200) + [255, 256, 257, 511, 512, 640, 890, 4095, 4096, 4097, 9000] {
            let start = length % 7
            let elements = Array(noise[start..<start + length * width])
            let expected = roundTrip(elements, width: width, portable)
            #expect(expected.back == elements)
            for kernels in Self.levels {
                for isCold in [false, true] {
                    let found = roundTrip(
                        elements, width: width, kernels, isCold: isCold, misaligned: length % 2 * length % 64,
                        aside: Array(noise.prefix(1 + length * 5)))
                    #expect(found.planes == expected.planes && found.back == elements)
                }
            }
        }
    }

    @Test("have checksums that are the same at every level, and the documented seed")
    func checksums() {
        var random = SplitMix64(seed: TestSeed.fresh("checksum levels"))
        let key = key("checksum")
        for length in [0, 1, 16, 128, 200, 240, 241, 256, 1024, 1025, 4096, 70_000] {
            let bytes = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let seed = key.prefixWord ^ (3 &* 0x9E37_79B9_7F4A_7C15)
            let sums = unsafe bytes.withUnsafeBytes { bytes in
                Self.levels.map { unsafe chash_xxh3_at($0.level, bytes.baseAddress, bytes.count, seed) }
            }
            let stored = Checksum.of(bytes.raw, key: key, part: 3)
            #expect(sums.allSatisfy { $0 == stored })
        }
    }

    @Test("have checksums that are the same when they are computed a little at a time, by one level after the other")
    func checksumsInSteps() {
        var random = SplitMix64(seed: TestSeed.fresh("checksum steps"))
        let bytes = (0..<70_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        for length in [1, 240, 241, 1023] + Array(1024..<2400) + [4096, 70_000] {
            for seed in [0, random.next()] {
                unsafe bytes.withUnsafeBytes { bytes in
                    var run = unsafe chash_run()
                    unsafe chash_run_begin(&run, bytes.baseAddress, length, seed)
                    var until = 0
                    while until < length {
                        until += Int(random.next() % 3000)
                        let level = Self.levels[Int(random.next() % UInt64(Self.levels.count))].level
                        unsafe chash_run_advance_at(level, &run, until)
                    }
                    let (sum, expected) = unsafe (
                        chash_run_finish(&run), chash_xxh3(bytes.baseAddress, length, seed)
                    )
                    #expect(sum == expected)
                }
            }
        }
    }

    @Test("use a level that this CPU has, lowered by PFX_CPU")
    func chosenLevel() async {
        #expect(PlaneKernels.chosen.level.rawValue <= clevel_supported().rawValue)
        await #expect(processExitsWith: .success) {
            unsafe setenv("PFX_CPU", "portable", 1)
            #expect(PlaneKernels.chosen.level == CLEVEL_PORTABLE)
        }
    }
}
