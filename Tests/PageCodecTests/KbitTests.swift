// Codes of fixed length with escapes: exact, alike at every level, and never reading past their escapes.

import CPlanes
import KVFormat
import Testing
import TestKit

@testable import PageCodec

@Suite("The k-bit codes")
struct KbitTests {
    /// Top bytes whose values fall off by half, with `rare` of 256 of them anything at all.
    private func topBytes(_ count: Int, rare: UInt64, _ random: inout SplitMix64) -> [UInt8] {
        (0..<count).map { _ in
            let bits = random.next()
            return bits & 0xFF < rare
                ? UInt8(truncatingIfNeeded: bits >> 8) : UInt8(120 + (bits | 1 << 40).trailingZeroBitCount)
        }
    }

    private func packed(
        _ top: [UInt8], bits: Int, values: [UInt8], _ kernels: PlaneKernels
    ) -> (codes: [UInt8], escapes: [UInt8]) {
        var codes = [UInt8](repeating: 0, count: KbitChunk.codeBytes(bits: bits, count: top.count) + 1)
        // Room for one more than there can be, and what must stay as it is.
        var escapes = [UInt8](repeating: 0xA5, count: top.count + 1 + 64)
        let count = unsafe codes.withUnsafeMutableBufferPointer { codes in
            unsafe escapes.withUnsafeMutableBufferPointer { escapes -> Int in
                guard let codes = codes.baseAddress, let escapes = escapes.baseAddress else { return 0 }
                return unsafe kernels.pack(
                    top, count: top.count, bits: bits, values: values, codes: codes, escapes: escapes)
            }
        }
        #expect(escapes.suffix(64).allSatisfy { $0 == 0xA5 })
        return (Array(codes.dropLast()), Array(escapes.prefix(count)))
    }

    private func unpacked(_ coded: [UInt8], _ head: UInt32, count: Int, _ kernels: PlaneKernels) -> [UInt8]? {
        var top = [UInt8](repeating: 0xA5, count: count + 64)
        let done = unsafe withGuarded(coded) { start -> Bool in
            let chunk = unsafe KbitChunk(head, start, count: count)
            return unsafe top.withUnsafeMutableBufferPointer { top in
                guard let top = top.baseAddress else { return false }
                return unsafe kernels.unpack(chunk, count: count, top: top)
            }
        }
        #expect(top.suffix(64).allSatisfy { $0 == 0xA5 })
        return done ? Array(top.prefix(count)) : nil
    }

    /// Merges `step` elements at a time, and hashes the coded bytes aside.
    private func merged(
        _ coded: [UInt8], _ head: UInt32, low: [UInt8], isCold: Bool, misaligned: Int, step: Int,
        _ kernels: PlaneKernels
    ) -> [UInt8]? {
        let count = low.count
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * count + 256, alignment: 64)
        defer { unsafe memory.deallocate() }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0xA5)
        let done = withFrame(coded) { frame -> Bool in
            guard let target = memory.baseAddress else { return false }
            let chunk = unsafe KbitChunk(head, frame.bytes, count: count)
            var codes = unsafe chunk.begin()
            for first in stride(from: 0, to: count, by: step) {
                let until = coded.count * (first + step) / count
                guard
                    unsafe low.withUnsafeBufferPointer({ low in
                        guard let low = low.baseAddress else { return false }
                        return unsafe kernels.merge16(
                            &codes, low: low + first, count: min(step, count - first),
                            to: target + 64 + misaligned + 2 * first, isCold: isCold,
                            frame.hashing(upTo: until, ahead: until..<until + 4096))
                    })
                else { return false }
                frame.expectHashed(upTo: until)
            }
            return unsafe codes.escape_count == 0
        }
        let bytes = unsafe [UInt8](memory)
        let (start, end) = (64 + misaligned, 64 + misaligned + 2 * count)
        #expect(bytes[..<start].allSatisfy { $0 == 0xA5 } && bytes[end...].allSatisfy { $0 == 0xA5 })
        return done ? Array(bytes[start..<end]) : nil
    }

    @Test("are alike at every level and come back, for every number of bits and many lengths", arguments: 1...6)
    func comeBack(bits: Int) throws {
        var random = SplitMix64(seed: TestSeed.fresh("k-bit codes"))
        let portable = try #require(KernelTests.levels.first)
        for length in Array(0..<200) + [1023, 4096, 65_536] {
            let top = topBytes(length, rare: UInt64(length % 4) * 30, &random)
            let values = (0..<(1 << bits) - 1).map { UInt8(120 + $0) }
            let expected = packed(top, bits: bits, values: values, portable)
            let head = KbitChunk.head(bits: bits, escapeCount: expected.escapes.count)
            let coded = values + expected.codes + expected.escapes
            #expect(KbitChunk.codedBytes(head, count: length) == coded.count)
            let low = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 37) }
            let elements = zip(top, low).flatMap { top, low -> [UInt8] in
                let rotated = UInt16(top) << 8 | UInt16(low)
                let element = rotated >> 1 | rotated << 15
                return [UInt8(truncatingIfNeeded: element), UInt8(element >> 8)]
            }
            for kernels in KernelTests.levels {
                let found = packed(top, bits: bits, values: values, kernels)
                #expect(found.codes == expected.codes && found.escapes == expected.escapes)
                guard length > 0 else { continue }
                #expect(unpacked(coded, head, count: length, kernels) == top)
                for isCold in [false, true] {
                    for step in [128, 8192, 65_536] where step == 128 || step < 8 * length {
                        let found = merged(
                            coded, head, low: low, isCold: isCold, misaligned: length % 2, step: step, kernels)
                        #expect(found == elements)
                    }
                }
            }
        }
    }

    @Test("are refused when escapes are missing or left over", arguments: 0..<KernelTests.levels.count)
    func countsEscapes(level: Int) {
        let kernels = KernelTests.levels[level]
        let top = (0..<130).map { UInt8($0 % 10) }
        let values: [UInt8] = [1, 2, 3]
        let (codes, escapes) = packed(top, bits: 2, values: values, kernels)
        #expect(escapes.count == 91)
        let low = [UInt8](repeating: 0, count: 130)
        for change in [-1, 1] {
            let claimed = escapes.count + change
            let coded = values + codes + Array((escapes + [0]).prefix(claimed))
            let head = KbitChunk.head(bits: 2, escapeCount: claimed)
            #expect(unpacked(coded, head, count: 130, kernels) == nil)
            #expect(merged(coded, head, low: low, isCold: false, misaligned: 0, step: 128, kernels) == nil)
        }
    }

    @Test("have as many bits as cost least")
    func plan() {
        func bits(_ top: [UInt8]) -> Int {
            var values = [UInt8](repeating: 0, count: 64)
            return unsafe values.withUnsafeMutableBufferPointer { values in
                guard let values = values.baseAddress else { return -1 }
                return unsafe KernelTests.levels[0].plan(top, count: top.count, values: values)
            }
        }
        var random = SplitMix64(seed: 1)
        #expect(bits([UInt8](repeating: 7, count: 1000)) == 1)
        #expect(bits((0..<70_000).map { _ in UInt8(random.next() & 1) }) == 2)
        #expect(bits((0..<70_000).map { _ in UInt8(random.next() % 7) }) == 3)
        #expect(bits((0..<70_000).map { _ in UInt8(random.next() % 63) }) == 6)
        #expect(bits((0..<70_000).map { _ in UInt8(truncatingIfNeeded: random.next()) }) == 0)
    }

    @Test("refuse impossible heads")
    func heads() {
        #expect(KbitChunk.codedBytes(7, count: 64) == nil)
        #expect(KbitChunk.codedBytes(3 | 65 << 8, count: 64) == nil)
        #expect(KbitChunk.codedBytes(0 | 63 << 8, count: 64) == nil)
        #expect(KbitChunk.codedBytes(0 | 64 << 8, count: 64) == 64)
        #expect(KbitChunk.codedBytes(3 | 2 << 8, count: 65) == 7 + 48 + 2)
    }

    @Test("make a model's page smaller by 1.4, at every level alike")
    func ratio() throws {
        let layout = try KVLayout(layers: 4, kvHeads: 8, headDimension: 128, element: .bf16)
        let page = pageBytes(layout, tokens: 64, key: key("kbit"), .gaussian)
        let records = KernelTests.levels.map {
            encode(page, layout, tokens: 64, key: key("kbit"), .kbit, with: RecordEncoder($0))
        }
        for record in records {
            #expect(record == records[0])
            #expect(Double(page.count) / Double(record.count) > 1.4)
            for kernels in KernelTests.levels {
                let found = decode(record, layout, key: key("kbit"), with: RecordDecoder(kernels))
                #expect(found == .success(page))
            }
        }
    }
}
