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
            let frames = Array(plan)
            #expect(frames.count == plan.frameCount)
            #expect(frames.flatMap { Array($0) } == Array(0..<layout.planeCount))
            #expect(frames.allSatisfy { $0.lowerBound % 2 == 0 && $0.upperBound % 2 == 0 })
            let counts = frames.map { $0.count / 2 }
            #expect((counts.min() ?? 0) >= 1 && (counts.max() ?? 0) - (counts.min() ?? 0) <= 1)
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
        #expect(Array(plan).last == 60..<64)
    }

    @Test("ends a frame where the element changes, and keeps layers whole elsewhere")
    func mixedElements() throws {
        func plane(_ layer: Int, _ element: KVElement) -> KVPlane {
            KVPlane(layer: layer, rowBytes: 34 * 16, element: element)
        }
        let mixed = (0..<3).flatMap { [plane($0, .fp16), plane($0, .q8x0)] }
        #expect(try Array(FramePlan(KVLayout(planes: mixed, pageSize: 64), tokens: 64)) == (0..<6).map { $0..<$0 + 1 })
        let halves = (0..<8).map { plane($0 / 2, $0 < 4 ? .fp16 : .q8x0) }
        #expect(try Array(FramePlan(KVLayout(planes: halves, pageSize: 64), tokens: 64)) == [0..<4, 4..<8])
    }

    @Test("of layers of unequal size has no empty frame, and no frame of much more than its layers need")
    func unequalLayers() throws {
        let rows = [64, 64 << 10, 64, 64, 64 << 10, 32 << 10, 64]
        let planes = rows.enumerated().map { KVPlane(layer: $0, rowBytes: $1, element: .bf16) }
        let layout = try KVLayout(planes: planes, pageSize: 16)
        let frames = Array(FramePlan(layout, tokens: 16))
        #expect(frames.flatMap { Array($0) } == Array(0..<7) && frames.allSatisfy { !$0.isEmpty })
        #expect(frames.allSatisfy { frame in frame.reduce(0) { $0 + 16 * rows[$1] } <= 2 << 20 })
        #expect(frames.count >= 3)
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
            let region = FrameRegion(
                layout: layout, planes: 0..<layout.planeCount, tokens: tokens, element: .bf16)
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
