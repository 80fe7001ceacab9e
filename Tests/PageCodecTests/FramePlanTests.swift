// How pages are cut into frames and chunks.

import KVFormat
import Testing
import TestKit

@testable import PageCodec

@Suite("A frame plan")
struct FramePlanTests {
    static let shapes: [(layers: Int, heads: Int, dimension: Int, element: KVElement, pageSize: Int)] = [
        (1, 1, 1, .bf16, 1), (2, 1, 64, .bf16, 16), (6, 2, 32, .fp32, 64), (16, 8, 64, .bf16, 64),
        (32, 8, 128, .bf16, 64),
        (36, 8, 128, .bf16, 256), (28, 4, 128, .fp16, 64), (80, 8, 128, .bf16, 16), (4, 8, 128, .fp32, 4096),
    ]

    @Test("covers every layer once, in order, in frames that differ by at most a layer", arguments: 0..<shapes.count)
    func coversTheLayers(shape: Int) throws {
        let shape = Self.shapes[shape]
        let layout = try KVLayout(
            layers: shape.layers, kvHeads: shape.heads, headDimension: shape.dimension, element: shape.element,
            pageSize: shape.pageSize)
        for tokens in Set([1, max(1, shape.pageSize / 2), shape.pageSize]) {
            let plan = FramePlan(layout, tokens: tokens)
            let frames = (0..<plan.frameCount).map(plan.layers(ofFrame:))
            #expect(frames.flatMap { Array($0) } == Array(0..<shape.layers))
            let counts = frames.map(\.count)
            #expect((counts.min() ?? 0) >= 1 && (counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
            #expect(plan == FramePlan(layout, tokens: tokens))
            let layerBytes = layout.pageBytes(tokens: tokens) / shape.layers
            for count in counts where plan.frameCount > 1 && count > 1 {
                #expect(count * layerBytes <= 1 << 20)
            }
        }
    }

    @Test("makes 16 frames of 512 KiB of an 8-MiB page")
    func usualPage() throws {
        let layout = try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16)
        let plan = FramePlan(layout, tokens: 64)
        #expect(plan.frameCount == 16)
        #expect(plan.layers(ofFrame: 15) == 30..<32)
    }

    @Test("never makes an endless walk: chunks cover each element of a frame once")
    func chunksCoverTheFrame() throws {
        var random = SplitMix64(seed: TestSeed.fresh("chunk walk"))
        for _ in 0..<200 {
            let layout = try KVLayout(
                layers: Int.random(in: 1...6, using: &random), kvHeads: Int.random(in: 1...8, using: &random),
                keyDimension: Int.random(in: 1...200, using: &random),
                valueDimension: Int.random(in: 0...200, using: &random), element: .bf16, pageSize: 256)
            let tokens = Int.random(in: 1...256, using: &random)
            let region = FrameRegion(layout: layout, planes: 0..<layout.planeCount, tokens: tokens)
            var seen = [Int](repeating: 0, count: layout.planeCount)
            var walk = ChunkWalk(region)
            var chunks = 0
            while let count = walk.nextChunk() {
                chunks += 1
                #expect(count <= ChunkWalk.maximum)
                var total = 0
                while let run = walk.nextRun() {
                    #expect(run.first == seen[run.plane] && run.count > 0)
                    seen[run.plane] += run.count
                    total += run.count
                }
                #expect(total == count)
            }
            #expect(seen == (0..<layout.planeCount).map { region.elements(ofPlane: $0, tokens: tokens) })
            #expect(chunks <= ChunkWalk.maximumChunks(bytes: region.rawBytes, width: 2))
        }
    }
}
