import CEngine
import Glibc
import Testing
import TestKit

@testable import LlamaEngine

@Suite("The attention kernel")
struct AttentionTests {
    /// One KV head of one sequence: keys and values as floats, in pages of `pageSize` tokens with two KV heads.
    private struct Scene {
        let pageSize: Int
        let dimension: Int
        let group: Int
        let keys: [[Float]]
        let values: [[Float]]
        let queries: [[[Float]]]

        init(tokens: Int, pageSize: Int, dimension: Int, group: Int, seed: UInt64) {
            var random = SplitMix64(seed: seed)
            func vector() -> [Float] { (0..<dimension).map { _ in Float.random(in: -2...2, using: &random) } }
            self.pageSize = pageSize
            self.dimension = dimension
            self.group = group
            keys = (0..<tokens).map { _ in vector() }
            values = (0..<tokens).map { _ in vector() }
            queries = (0..<tokens).map { _ in (0..<group).map { _ in vector() } }
        }

        /// Page `page` as bytes: the K plane, then the V plane; the head is the second of two. `filler` is what
        /// stands in the first head and behind the last token.
        func page(_ page: Int, filler: Float) -> [Float] {
            let plane = pageSize * 2 * dimension
            var floats = [Float](repeating: filler, count: 2 * plane)
            for slot in 0..<pageSize where page * pageSize + slot < keys.count {
                let at = slot * 2 * dimension + dimension
                floats.replaceSubrange(at..<at + dimension, with: keys[page * pageSize + slot])
                floats.replaceSubrange(plane + at..<plane + at + dimension, with: values[page * pageSize + slot])
            }
            return floats
        }

        /// What the attention should give, in doubles.
        func expected(_ position: Int, _ head: Int) -> [Double] {
            let query = queries[position][head]
            let scores = (0...position).map { key in
                zip(query, keys[key]).reduce(0.0) { $0 + Double($1.0) * Double($1.1) } / Double(dimension).squareRoot()
            }
            let top = scores.reduce(-.infinity, max)
            let weights = scores.map { exp($0 - top) }
            let total = weights.reduce(0, +)
            return (0..<dimension).map { d in
                zip(weights, values).reduce(0.0) { $0 + $1.0 * Double($1.1[d]) } / total
            }
        }

        /// The kernel's results for the positions `range`, `[token][head][dimension]`.
        func attend(_ range: Range<Int>, _ kernels: Kernels, filler: Float = 0) -> [Float] {
            let pages = (0...(keys.count - 1) / pageSize).map { page(page: $0, filler) }
            let width = group * dimension
            var out = [Float](repeating: .nan, count: range.count * width)
            let flat = queries[range].flatMap { $0.flatMap { $0 } }
            let memory = AlignedMemory(floats: cengine_attention_scratch(pageSize, dimension, group, range.count))
            unsafe withPointers(pages) { pointers in
                unsafe flat.withUnsafeBufferPointer { queries in
                    unsafe out.withUnsafeMutableBufferPointer { out in
                        var block = unsafe cengine_attention(
                            pages: pointers, key_offset: 0, value_offset: pageSize * 2 * dimension * 4,
                            page_size: pageSize, kv_heads: 2, kv_head: 1, head_dim: dimension, group: group,
                            element: CENGINE_FP32, queries: queries.baseAddress, query_stride: width,
                            out: out.baseAddress,
                            out_stride: width, position: range.lowerBound, count: range.count,
                            scale: 1 / Float(dimension).squareRoot(), scratch: memory.floats)
                        unsafe kernels.table.pointee.attention(&block)
                    }
                }
            }
            return out
        }

        private func page(page: Int, _ filler: Float) -> [Float] { self.page(page, filler: filler) }

        private func withPointers(_ pages: [[Float]], _ body: (UnsafePointer<UnsafeRawPointer?>) -> Void) {
            let copies = pages.map { page in
                let memory = AlignedMemory(floats: page.count)
                unsafe page.withUnsafeBytes { bytes in
                    guard let base = bytes.baseAddress else { return }
                    unsafe memory.base.copyMemory(from: base, byteCount: bytes.count)
                }
                return memory
            }
            let pointers: [UnsafeRawPointer?] = unsafe copies.map { unsafe UnsafeRawPointer($0.base) }
            unsafe pointers.withUnsafeBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return }
                unsafe body(base)
            }
            withExtendedLifetime(copies) {}
        }
    }

    @Test("gives the softmax average, for any head and group", arguments: kernelBuilds, [(16, 8), (64, 64), (48, 24)])
    func average(build: String, shape: (Int, Int)) throws {
        let kernels = try #require(Kernels.named(build))
        for group in [1, 3, 7] {
            let scene = Scene(tokens: 133, pageSize: shape.0, dimension: shape.1, group: group, seed: UInt64(group))
            let out = scene.attend(0..<133, kernels)
            for position in stride(from: 0, to: 133, by: 11) {
                for head in 0..<group {
                    let at = (position * group + head) * shape.1
                    for (value, expected) in zip(out[at..<at + shape.1], scene.expected(position, head)) {
                        #expect(abs(Double(value) - expected) < 1e-5)
                    }
                }
            }
        }
    }

    @Test("gives a query the same bits in every block, and whatever lies behind it", arguments: kernelBuilds)
    func anyBlock(build: String) throws {
        let kernels = try #require(Kernels.named(build))
        let scene = Scene(tokens: 90, pageSize: 16, dimension: 40, group: 2, seed: 5)
        let width = 2 * 40
        let whole = scene.attend(0..<90, kernels)
        for first in [0, 1, 15, 16, 47, 88] {
            for count in [1, 2, 13, 40] where first + count <= 90 {
                let part = scene.attend(first..<first + count, kernels, filler: 1e30)
                #expect(part == Array(whole[first * width..<(first + count) * width]), "\(count) from \(first)")
            }
        }
    }
}
