import CEngine
import Glibc
import Testing
import TestKit

@testable import LlamaEngine

/// The builds that this CPU can run; the portable one is always among them.
let kernelBuilds = ["avx512", "avx2", "portable"].filter { Kernels.named($0) != nil }

@Suite("A kernel", .serialized)
struct KernelTests {
    private func table(_ build: String) throws -> cengine_kernels {
        unsafe try #require(Kernels.named(build)).table.pointee
    }

    /// Widens stored 16-bit elements.
    private func widen(_ bits: [UInt16], _ element: Element, _ build: String) throws -> [Float] {
        var floats = [Float](repeating: 0, count: bits.count)
        unsafe try table(build).widen(bits, element, &floats, bits.count)
        return floats
    }

    /// Rounds to stored 16-bit elements.
    private func narrow(_ floats: [Float], _ element: Element, _ build: String) throws -> [UInt16] {
        var bits = [UInt16](repeating: 0, count: floats.count)
        unsafe try table(build).narrow(floats, element, &bits, floats.count)
        return bits
    }

    @Test("widens every half and every bfloat16 exactly", arguments: kernelBuilds)
    func widening(build: String) throws {
        let all = (0...UInt16.max).map { $0 }
        for (bits, value) in zip(all, try widen(all, CENGINE_FP16, build)) {
            let expected = Float(Float16(bitPattern: bits))
            guard value == expected || (value.isNaN && expected.isNaN) else {
                Issue.record("half \(bits) became \(value)")
                return
            }
        }
        let floats = try widen(all, CENGINE_BF16, build)
        #expect(floats.map(\.bitPattern) == all.map { UInt32($0) << 16 })
    }

    @Test("rounds to the nearest half, to the even one of two", arguments: kernelBuilds)
    func halves(build: String) throws {
        var random = SplitMix64(seed: 1)
        var floats = (0..<20_000).map { _ in Float(bitPattern: UInt32.random(in: 0...UInt32.max, using: &random)) }
        floats += (0...UInt16.max).map { Float(Float16(bitPattern: $0)) }
        floats += [65519.9, 65520, 5.9e-8, 2.9e-8, 2.99e-8, 1 + 1 / 2048, 1 + 3 / 2048]
        for (value, bits) in zip(floats, try narrow(floats, CENGINE_FP16, build)) {
            let expected = Float16(value)
            guard bits == expected.bitPattern || (expected.isNaN && Float16(bitPattern: bits).isNaN) else {
                Issue.record("\(value) became the half \(bits), not \(expected.bitPattern)")
                return
            }
        }
    }

    @Test("rounds to the nearest bfloat16, to the even one of two, and keeps NaN a NaN", arguments: kernelBuilds)
    func bfloats(build: String) throws {
        let cases: [(UInt32, UInt16)] = [
            (0x3F80_0000, 0x3F80), (0x3F80_8000, 0x3F80), (0x3F81_8000, 0x3F82), (0x3F80_8001, 0x3F81),
            (0x7F7F_FFFF, 0x7F80), (0x8000_0000, 0x8000), (0x7F80_0000, 0x7F80), (0x0000_8001, 0x0001),
        ]
        #expect(try narrow(cases.map { Float(bitPattern: $0.0) }, CENGINE_BF16, build) == cases.map(\.1))
        let nan = try narrow([Float(bitPattern: 0x7F80_0001), Float(bitPattern: 0xFFFF_FFFF)], CENGINE_BF16, build)
        #expect(nan.allSatisfy { $0 & 0x7F80 == 0x7F80 && $0 & 0x7F != 0 })
    }

    @Test(
        "computes exp to a few parts in ten million, exactly 1 at 0 and exactly 0 for what is masked",
        arguments: kernelBuilds)
    func exponential(build: String) throws {
        let inputs = (0..<17_001).map { Float($0 - 8700) / 100 }
        var values = [Float](repeating: -1, count: inputs.count)
        unsafe try table(build).exponential(inputs, &values, inputs.count)
        for (x, y) in zip(inputs, values) {
            let exact = Double(y) / exp(Double(x))
            guard abs(exact - 1) < 3e-7 else {
                Issue.record("exp(\(x)) = \(y)")
                return
            }
        }
        var special = [Float](repeating: -1, count: 4)
        unsafe try table(build).exponential([0, -.infinity, -1e30, -88], &special, 4)
        #expect(special == [1, 0, 0, 0])
    }

    @Test("normalises vectors of any length", arguments: kernelBuilds, [1, 5, 16, 33, 256])
    func norms(build: String, count: Int) throws {
        var random = SplitMix64(seed: UInt64(count))
        let x = (0..<count).map { _ in Float.random(in: -2...2, using: &random) }
        let weight = (0..<count).map { _ in Float.random(in: -2...2, using: &random) }
        var y = [Float](repeating: 0, count: count)
        unsafe try table(build).rms_norm(x, weight, 1e-5, &y, count)
        let square = x.reduce(0.0) { $0 + Double($1) * Double($1) } / Double(count)
        for index in 0..<count {
            let expected = Double(x[index]) / (square + 1e-5).squareRoot() * Double(weight[index])
            #expect(abs(Double(y[index]) - expected) < 1e-5)
        }
    }

    @Test("gates and rotates vectors of any length", arguments: kernelBuilds, [2, 8, 32, 46, 128])
    func gatesAndRotations(build: String, count: Int) throws {
        var random = SplitMix64(seed: UInt64(count))
        let gate = (0..<count).map { _ in Float.random(in: -9...9, using: &random) }
        let up = (0..<count).map { _ in Float.random(in: -2...2, using: &random) }
        var y = [Float](repeating: 0, count: count)
        unsafe try table(build).silu_product(gate, up, &y, count)
        for index in 0..<count {
            let x = Double(gate[index])
            #expect(abs(Double(y[index]) - x / (1 + exp(-x)) * Double(up[index])) < 1e-5)
        }
        let half = count / 2
        let angles = (0..<half).map { _ in Float.random(in: -3...3, using: &random) }
        var head = up
        unsafe try table(build).rotate(&head, angles.map { cos($0) }, angles.map { sin($0) }, count)
        for index in 0..<half {
            let (a, b, angle) = (up[index], up[index + half], angles[index])
            #expect(abs(head[index] - (a * cos(angle) - b * sin(angle))) < 1e-5)
            #expect(abs(head[index + half] - (b * cos(angle) + a * sin(angle))) < 1e-5)
        }
    }
}
