// Pages come back as they were.

import KVFormat
import TestKit
import Testing

@testable import PageCodec

@Suite("A page")
struct RoundTripTests {
    static let layouts: [KVLayout] = {
        let made: [KVLayout?] = [
            try? KVLayout(layers: 1, kvHeads: 1, headDimension: 1, element: .bf16, pageSize: 1),
            try? KVLayout(layers: 3, kvHeads: 2, headDimension: 24, element: .bf16, pageSize: 16),
            try? KVLayout(layers: 4, kvHeads: 8, headDimension: 128, element: .bf16, pageSize: 64),
            try? KVLayout(layers: 3, kvHeads: 2, headDimension: 40, element: .fp16, pageSize: 64),
            try? KVLayout(layers: 2, kvHeads: 3, headDimension: 80, element: .fp32, pageSize: 100),
            try? KVLayout(layers: 5, kvHeads: 2, headDimension: 64, element: .int8, pageSize: 32),
            try? KVLayout(layers: 2, kvHeads: 2, headDimension: 33, element: .fp8e4m3, pageSize: 7),
            try? KVLayout(layers: 3, kvHeads: 1, keyDimension: 576, valueDimension: 0, element: .bf16, pageSize: 64),
            try? KVLayout(layers: 2, kvHeads: 4, keyDimension: 192, valueDimension: 128, element: .bf16, pageSize: 200),
            try? KVLayout.opaque(bytesPerPage: 64 * 3_000, pageSize: 64),
            mixed(.fp16, .q8x0, layers: 3, pageSize: 32),
            mixed(.q5x1, .fp32, layers: 2, pageSize: 16),
        ]
        let grouped = KVElement.allCases.filter { $0 != .opaque }.map { element in
            try? KVLayout(layers: 2, kvHeads: 2, headDimension: 64, element: element, pageSize: 24)
        }
        return (made + grouped).compactMap { $0 }
    }()

    /// Keys of one element and values of another.
    private static func mixed(_ keys: KVElement, _ values: KVElement, layers: Int, pageSize: Int) -> KVLayout? {
        let planes = (0..<layers).flatMap { layer in
            [
                KVPlane(layer: layer, rowBytes: 12 * keys.groupBytes, element: keys),
                KVPlane(layer: layer, rowBytes: 7 * values.groupBytes, element: values),
            ]
        }
        return try? KVLayout(planes: planes, pageSize: pageSize)
    }

    @Test(
        "comes back bit for bit, whole or as a tail, whatever is in it", arguments: 0..<layouts.count,
        CodecChoice.allCases)
    func comesBack(index: Int, codec: CodecChoice) {
        #expect(Self.layouts.count == 12 + KVElement.allCases.count - 1)
        let layout = Self.layouts[index]
        let (encoder, decoder) = (RecordEncoder(), RecordDecoder())
        for content in PageContent.allCases {
            for tokens in Set([
                layout.isDivisible ? 1 : layout.pageSize,
                layout.isDivisible ? (layout.pageSize + 1) / 2 : layout.pageSize, layout.pageSize,
            ]) {
                let key = key("\(index) \(content) \(tokens)")
                let page = pageBytes(layout, tokens: tokens, key: key, content)
                let record = encode(page, layout, tokens: tokens, key: key, codec, with: encoder)
                #expect(decode(record, layout, key: key, with: decoder) == .success(page))
                let slack = RecordHeader.byteCount + FramePlan(layout, tokens: tokens).frameCount * FrameEntry.byteCount
                #expect(record.count <= page.count + slack)
            }
        }
    }

    @Test("gives its first tokens alone, for every number of tokens", arguments: CodecChoice.allCases)
    func givesItsFirstTokens(codec: CodecChoice) {
        for layout in Self.layouts where layout.isDivisible && layout.pageSize <= 100 {
            let key = key("first tokens")
            let page = pageBytes(layout, tokens: layout.pageSize, key: key, .gaussian)
            let record = encode(page, layout, tokens: layout.pageSize, key: key, codec)
            let decoder = RecordDecoder()
            for wanted in 1...layout.pageSize {
                let expected = cut(page, layout, stored: layout.pageSize, tokens: wanted)
                #expect(decode(record, layout, wanted: wanted, key: key, with: decoder) == .success(expected))
            }
        }
    }

    @Test("of any planes comes back, and so does any number of its first tokens")
    func randomLayouts() throws {
        var random = SplitMix64(seed: TestSeed.fresh("random layouts"))
        let (encoder, decoder) = (RecordEncoder(), RecordDecoder())
        for round in 0..<150 {
            var planes: [KVPlane] = []
            for layer in 0..<Int.random(in: 1...6, using: &random) {
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    let element = KVElement.allCases[Int.random(in: 1..<KVElement.allCases.count, using: &random)]
                    let groups = Int.random(in: 1...400, using: &random)
                    planes.append(KVPlane(layer: layer, rowBytes: groups * element.groupBytes, element: element))
                }
            }
            let layout = try KVLayout(planes: planes, pageSize: Int.random(in: 1...128, using: &random))
            let tokens = Int.random(in: 1...layout.pageSize, using: &random)
            let key = key("round \(round)")
            let content = PageContent.allCases[round % 3]
            let page = pageBytes(layout, tokens: tokens, key: key, content)
            let codec = CodecChoice.allCases[round % 4]
            let record = encode(page, layout, tokens: tokens, key: key, codec, with: encoder)
            #expect(decode(record, layout, key: key, with: decoder) == .success(page))
            let wanted = Int.random(in: 1...tokens, using: &random)
            let first = cut(page, layout, stored: tokens, tokens: wanted)
            #expect(decode(record, layout, wanted: wanted, key: key, with: decoder) == .success(first))
        }
    }

    @Test("is read from and written to one tensor a plane, at any alignment")
    func tensorsPerPlane() throws {
        let layout = try KVLayout(
            layers: 3, kvHeads: 2, keyDimension: 20, valueDimension: 12, element: .bf16, pageSize: 16)
        let key = key("tensors")
        let page = pageBytes(layout, tokens: 16, key: key, .gaussian)
        let capacity = 40
        // Room for 40 tokens a plane, one odd byte before each tensor; the page lies at token 7.
        let size = (capacity * layout.bytesPerToken / layout.planeCount) * 2 + 1
        var memory = [UInt8](repeating: 0x5A, count: layout.planeCount * size)
        for plane in 0..<layout.planeCount {
            let perToken = layout.bytesPerToken(inPlane: plane)
            let from = 16 * layout.bytesPerToken(beforePlane: plane)
            memory.replaceSubrange(
                plane * size + 1 + 7 * perToken..<plane * size + 1 + 23 * perToken,
                with: page[from..<from + 16 * perToken])
        }
        let record = EncodedRecord()
        var copy = [UInt8](repeating: 0x5A, count: memory.count)
        unsafe memory.withUnsafeBytes { memory in
            guard let base = memory.baseAddress else { return }
            let planes = unsafe (0..<layout.planeCount).map { unsafe base + $0 * size + 1 }
            unsafe planes.withUnsafeBufferPointer { planes in
                RecordEncoder().encode(
                    page: unsafe PageSource(planes: planes, tokenOffset: 7, capacity: capacity), tokens: 16,
                    layout: layout, key: key,
                    codec: .zstd, into: record)
            }
        }
        let view = try RecordView(record.bytes, key: key, layout: layout, tokens: 16)
        try unsafe copy.withUnsafeMutableBytes { copy in
            guard let base = copy.baseAddress else { return }
            let planes = unsafe (0..<layout.planeCount).map { unsafe base + $0 * size + 1 }
            try unsafe planes.withUnsafeBufferPointer { planes in
                try RecordDecoder().decode(
                    view, tokens: 16, into: unsafe PageTarget(planes: planes, tokenOffset: 7, capacity: capacity))
            }
        }
        #expect(copy == memory)
    }

    @Test("is stored smaller by the zstd codec when its numbers are like a model's")
    func compresses() throws {
        let layout = try KVLayout(layers: 4, kvHeads: 8, headDimension: 128, element: .bf16)
        let page = pageBytes(layout, tokens: 64, key: key("ratio"), .gaussian)
        let record = encode(page, layout, tokens: 64, key: key("ratio"), .zstd)
        #expect(Double(page.count) / Double(record.count) > 1.45)
        let view = try RecordView(record.raw, key: key("ratio"), layout: layout)
        #expect(view.frameCount == 2 && view.planes(ofFrame: 1) == 4..<8)
        #expect(FrameEntry(record.raw, index: 0).codec == FrameCodec.zstd.rawValue)
    }

    @Test("is stored raw when the codec gains less than 1/64")
    func rawEscape() throws {
        let layout = try KVLayout(layers: 4, kvHeads: 8, headDimension: 128, element: .bf16)
        let page = pageBytes(layout, tokens: 64, key: key("noise"), .noise)
        let record = encode(page, layout, tokens: 64, key: key("noise"), .zstd)
        for frame in 0..<2 {
            let entry = FrameEntry(record.raw, index: frame)
            #expect(entry.codec == FrameCodec.raw.rawValue && entry.encodedBytes == entry.rawBytes)
        }
    }

    @Test("is decoded frame by frame in any order, each frame touching its own layers only")
    func frameByFrame() throws {
        let layout = try KVLayout(layers: 4, kvHeads: 8, headDimension: 128, element: .bf16)
        let key = key("frames")
        let page = pageBytes(layout, tokens: 64, key: key, .gaussian)
        let record = encode(page, layout, tokens: 64, key: key, .zstd)
        let view = try RecordView(record.raw, key: key, layout: layout)
        var target = [UInt8](repeating: 0, count: page.count)
        for frame in [1, 0] {
            try unsafe target.withUnsafeMutableBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                try RecordDecoder().decode(
                    frame: frame, of: view, tokens: 64, into: unsafe PageTarget(base, capacity: 64))
            }
            let half = page.count / 2
            if frame == 1 { #expect(target.prefix(half).allSatisfy { $0 == 0 }) }
            #expect(target.suffix(half) == page.suffix(half))
        }
        #expect(target == page)
    }

    @Test("is encoded alike every time, and into memory that held a larger record")
    func reusesMemory() throws {
        let record = EncodedRecord()
        let encoder = RecordEncoder()
        for layout in [Self.layouts[2], Self.layouts[1], Self.layouts[2]] {
            let key = key("reuse")
            let page = pageBytes(layout, tokens: layout.pageSize, key: key, .gaussian)
            unsafe page.withUnsafeBytes { page in
                guard let base = page.baseAddress else { return }
                encoder.encode(
                    page: unsafe PageSource(base, capacity: layout.pageSize), tokens: layout.pageSize, layout: layout,
                    key: key, codec: .zstd, into: record)
            }
            let bytes = unsafe record.bytes.withUnsafeBytes { unsafe [UInt8]($0) }
            #expect(bytes == encode(page, layout, tokens: layout.pageSize, key: key, .zstd))
            #expect(record.rawByteCount == page.count && record.byteCount == bytes.count)
        }
    }
}
