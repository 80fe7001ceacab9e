import CEngine
import Synchronization
import Testing
import TestKit

@testable import LlamaEngine

@Suite("A product with weights")
struct ProductTests {
    let pool = WorkerPool(threads: 2)

    private func view(_ checkpoint: String, _ name: String, _ shape: [Int]) throws -> TensorView {
        try Checkpoint(folder: Fixtures.checkpoint(checkpoint)).tensor(
            "model.layers.0." + name + ".weight", shape: shape)
    }

    private func multiply(_ matrix: WeightMatrix, _ source: [Float], rows: Int, _ kernels: Kernels = .current)
        -> [[Float]]
    {
        let target = Activations(rows: rows, width: matrix.rows)
        let scratch = AlignedMemory(floats: pool.threadCount * WeightMatrix.panelRows * Int(CENGINE_K_BLOCK))
        unsafe matrix.multiply(
            source, stride: matrix.columns, rows: rows, into: target.row(0), targetStride: target.stride,
            kernels: kernels, pool: pool, scratch: scratch)
        return (0..<rows).map { row in (0..<matrix.rows).map { unsafe target.row(row)[$0] } }
    }

    @Test("gives every row the same bits whatever the number of rows", arguments: kernelBuilds)
    func anyNumberOfRows(build: String) throws {
        let kernels = try #require(Kernels.named(build))
        let part = try view("llama-bf16", "mlp.down_proj", [32, 64])
        let matrix = WeightMatrix([part, part, part], columns: 64, storage: .asStored, pool: pool)
        var random = SplitMix64(seed: 4)
        let source = (0..<401 * 64).map { _ in Float.random(in: -1...1, using: &random) }
        let whole = multiply(matrix, source, rows: 401, kernels)
        for count in Array(1...14) + [191, 192, 193, 400] {
            #expect(multiply(matrix, source, rows: count, kernels) == Array(whole[..<count]))
            let tail = Array(source[((401 - count) * 64)...])
            #expect(multiply(matrix, tail, rows: count, kernels) == Array(whole[(401 - count)...]))
        }
    }

    @Test(
        "has the same bits for weights as stored and as floats", arguments: ["llama-bf16", "llama-fp16-tied"],
        kernelBuilds)
    func storage(checkpoint: String, build: String) throws {
        let kernels = try #require(Kernels.named(build))
        let part = try view(checkpoint, "mlp.up_proj", [64, 32])
        var random = SplitMix64(seed: 9)
        let source = (0..<20 * 32).map { _ in Float.random(in: -1...1, using: &random) }
        let stored = WeightMatrix([part], columns: 32, storage: .asStored, pool: pool)
        let floats = WeightMatrix([part], columns: 32, storage: .floats, pool: pool)
        #expect(multiply(stored, source, rows: 20, kernels) == multiply(floats, source, rows: 20, kernels))
    }

    @Test("is the product: weights of several matrices follow one another")
    func values() throws {
        let first = try view("llama-fp32-bias", "self_attn.q_proj", [32, 32])
        let second = try view("llama-fp32-bias", "self_attn.k_proj", [16, 32])
        let matrix = WeightMatrix([first, second], columns: 32, storage: .asStored, pool: pool)
        #expect(matrix.rows == 48)
        var random = SplitMix64(seed: 3)
        let source = (0..<3 * 32).map { _ in Float.random(in: -1...1, using: &random) }
        let result = multiply(matrix, source, rows: 3)
        for (at, part) in [(0, first), (32, second)] {
            unsafe part.withUnsafeBytes { bytes in
                for row in 0..<3 {
                    for output in 0..<part.shape[0] {
                        let sum = (0..<32).reduce(0.0) { sum, k in
                            let weight = unsafe bytes.loadUnaligned(
                                fromByteOffset: (output * 32 + k) * 4, as: Float.self)
                            return sum + Double(weight) * Double(source[row * 32 + k])
                        }
                        #expect(abs(Double(result[row][at + output]) - sum) < 1e-5)
                    }
                }
            }
        }
    }
}

@Suite("The worker pool")
struct WorkerPoolTests {
    @Test("runs every task of every call once", arguments: [1, 2, 5])
    func everyTaskOnce(threads: Int) {
        let pool = WorkerPool(threads: threads)
        for call in 0..<3_000 {
            let sum = Atomic<Int>(0)
            let count = call % 9
            pool.run(count) { task, thread in
                precondition(thread < threads)
                sum.add(1 << (4 * task), ordering: .relaxed)
            }
            #expect(sum.load(ordering: .relaxed) == (0..<count).reduce(0) { $0 + 1 << (4 * $1) })
        }
    }
}
