// KV layouts, page memory, units and scores.

import Testing

@testable import KVFormat

@Suite("A KV layout")
struct LayoutTests {
    @Test("counts the bytes of a page")
    func bytes() throws {
        let layout = try KVLayout(layers: 32, kvHeads: 8, headDimension: 128, element: .bf16)
        #expect(layout.bytesPerToken == 128 << 10)
        #expect(layout.bytesPerPage == 8 << 20)
        #expect(layout.planeCount == 64)
        #expect(layout.bytesPerToken(inPlane: 3) == 2048)
        #expect(layout.bytesPerToken(beforePlane: 3) == 3 * 2048)
    }

    @Test("places planes of different widths one after the other")
    func unequalPlanes() throws {
        let layout = try KVLayout(
            layers: 2, kvHeads: 1, keyDimension: 6, valueDimension: 4, element: .fp16, pageSize: 4)
        #expect((0..<4).map { layout.bytesPerToken(inPlane: $0) } == [12, 8, 12, 8])
        #expect((0...4).map { layout.bytesPerToken(beforePlane: $0) } == [0, 12, 20, 32, 40])
    }

    @Test("has one plane a layer for a latent cache")
    func latent() throws {
        let layout = try KVLayout(
            layers: 3, kvHeads: 1, keyDimension: 576, valueDimension: 0, element: .bf16, pageSize: 64)
        #expect(layout.planeCount == 3)
        #expect(layout.bytesPerToken == 3 * 1152)
        #expect(layout.bytesPerToken(beforePlane: 2) == 2 * 1152)
    }

    @Test("of opaque pages keeps their size and cannot be cut")
    func opaque() throws {
        let layout = try KVLayout.opaque(bytesPerPage: 8192, pageSize: 16)
        #expect(layout.bytesPerPage == 8192)
        #expect(!layout.isDivisible)
        #expect(throws: StoreError.self) { try KVLayout.opaque(bytesPerPage: 100, pageSize: 16) }
    }

    @Test("refuses numbers outside the limits")
    func limits() {
        for (layers, heads, dimension, page) in [
            (0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1), (1, 1, 1, 0), (1, 1, 1, 5000),
        ] {
            #expect(throws: StoreError.self) {
                try KVLayout(layers: layers, kvHeads: heads, headDimension: dimension, element: .bf16, pageSize: page)
            }
        }
        #expect(throws: StoreError.self) {
            try KVLayout(layers: 1024, kvHeads: 4096, headDimension: 8192, element: .fp32, pageSize: 4096)
        }
        #expect(throws: StoreError.self) { try KVLayout(layers: 1, kvHeads: 1, headDimension: 1, element: .opaque) }
    }

    @Test("takes planes of any rows, elements and windows, and finds each by its offset")
    func planes() throws {
        let planes = [
            KVPlane(layer: 0, rowBytes: 2048, element: .fp16), KVPlane(layer: 0, rowBytes: 1088, element: .q8x0),
            KVPlane(layer: 1, rowBytes: 30, element: .bytes, window: 4096),
        ]
        let layout = try KVLayout(planes: planes, pageSize: 16)
        #expect(layout.planes == planes && layout.layers == 2 && layout.element == nil && layout.isDivisible)
        #expect((0...3).map { layout.bytesPerToken(beforePlane: $0) } == [0, 2048, 3136, 3166])
        #expect(layout.bytesPerPage == 16 * 3166)
    }

    @Test("counts the groups of ggml's types: llama.cpp's row of 1,024 numbers has 1,088 bytes as q8_0")
    func groups() throws {
        let sizes: [(KVElement, Int)] = [
            (.q8x0, 1088), (.q4x0, 576), (.q4x1, 640), (.q5x0, 704), (.q5x1, 768), (.iq4nl, 576), (.fp8e5m2, 1024),
        ]
        for (element, size) in sizes {
            let layout = try KVLayout(layers: 2, kvHeads: 8, headDimension: 128, element: element)
            #expect(layout.planes.allSatisfy { $0.rowBytes == size })
        }
        #expect(throws: StoreError.self) { try KVLayout(layers: 2, kvHeads: 1, headDimension: 48, element: .q8x0) }
    }

    @Test(
        "refuses planes out of order, with a layer left out, with half a group, or none",
        arguments: [
            [], [KVPlane(layer: 1, rowBytes: 2, element: .bf16)],
            [KVPlane(layer: 0, rowBytes: 2, element: .bf16), KVPlane(layer: 2, rowBytes: 2, element: .bf16)],
            [
                KVPlane(layer: 0, rowBytes: 2, element: .bf16), KVPlane(layer: 1, rowBytes: 2, element: .bf16),
                KVPlane(layer: 0, rowBytes: 2, element: .bf16),
            ],
            [KVPlane(layer: 0, rowBytes: 3, element: .bf16)], [KVPlane(layer: 0, rowBytes: 35, element: .q8x0)],
            [KVPlane(layer: 0, rowBytes: 0, element: .bytes)], [KVPlane(layer: 0, rowBytes: -2, element: .bf16)],
            [KVPlane(layer: 0, rowBytes: 2, element: .bf16, window: -1)],
            [KVPlane(layer: 0, rowBytes: .max, element: .bytes)],
            [KVPlane](repeating: KVPlane(layer: 0, rowBytes: 1, element: .bytes), count: 4097),
        ])
    func refusesPlanes(planes: [KVPlane]) {
        #expect(throws: StoreError.self) { try KVLayout(planes: planes, pageSize: 16) }
    }

    @Test("elements know their groups and name", arguments: KVElement.allCases)
    func elements(element: KVElement) {
        #expect([1, 2, 4].contains(element.codecWidth) && element.groupBytes % element.codecWidth == 0)
        #expect(element.groupCount == 1 || element.groupCount == 32)
        #expect(KVElement(element.description) == element)
        #expect(KVElement(element.description + "x") == nil)
    }
}

@Suite("Page memory")
struct PageMemoryTests {
    @Test("copies the first tokens of each plane between both arrangements")
    func copies() throws {
        let layout = try KVLayout(layers: 2, kvHeads: 1, headDimension: 2, element: .int8, pageSize: 4)
        let whole = (0..<UInt8(layout.bytesPerPage)).map { $0 }
        var planes = [[UInt8]](repeating: [UInt8](repeating: 255, count: 20), count: 4)
        unsafe whole.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var addresses: [UnsafeMutableRawPointer] = unsafe []
            for plane in 0..<4 {
                unsafe planes[plane].withUnsafeMutableBytes {
                    if let address = $0.baseAddress { unsafe addresses.append(address) }
                }
            }
            unsafe addresses.withUnsafeBufferPointer { addresses in
                let target = unsafe PageTarget(planes: addresses, tokenOffset: 5, capacity: 10)
                target.copy(tokens: 3, from: unsafe PageSource(base, capacity: 4), layout)
                var back = [UInt8](repeating: 0, count: layout.pageBytes(tokens: 3))
                unsafe back.withUnsafeMutableBytes { back in
                    guard let base = back.baseAddress else { return }
                    unsafe PageTarget(base, capacity: 3).copy(tokens: 3, from: target.source, layout)
                }
                #expect(
                    back == [0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13, 16, 17, 18, 19, 20, 21, 24, 25, 26, 27, 28, 29])
            }
        }
    }
}

@Suite("A page's memory")
struct PageAddressTests {
    let layout: KVLayout

    init() throws { layout = try KVLayout(layers: 2, kvHeads: 1, headDimension: 2, element: .int8, pageSize: 4) }

    @Test("in one piece says when it has no room")
    func onePiece() {
        var byte: UInt8 = 0
        unsafe withUnsafeMutableBytes(of: &byte) { bytes in
            guard let base = bytes.baseAddress else { return }
            #expect(unsafe PageTarget(base, capacity: 3).memory.misfit(tokens: 3, layout) == nil)
            #expect(unsafe PageTarget(base, capacity: 3).memory.misfit(tokens: 4, layout) != nil)
            #expect(unsafe PageSource(base, capacity: -1).memory.misfit(tokens: 1, layout) != nil)
        }
    }

    @Test(
        "in tensors says when one is missing, or when the page passes their end",
        arguments: [
            (4, 5, 9, true), (4, 0, 4, true), (4, 5, 8, false), (4, -1, 9, false), (3, 0, 4, false), (5, 0, 4, false),
            (0, 0, 4, false), (4, .max, .max, false),
        ])
    func tensors(planes: Int, offset: Int, capacity: Int, fits: Bool) {
        var byte: UInt8 = 0
        unsafe withUnsafeMutableBytes(of: &byte) { bytes in
            guard let base = bytes.baseAddress else { return }
            let list = unsafe [UnsafeRawPointer](repeating: UnsafeRawPointer(base), count: planes)
            unsafe list.withUnsafeBufferPointer { list in
                let source = unsafe PageSource(planes: list, tokenOffset: offset, capacity: capacity)
                #expect((source.memory.misfit(tokens: 4, layout) == nil) == fits)
            }
        }
    }
}

@Suite("A byte count")
struct ByteCountTests {
    @Test(
        "is read from what people write",
        arguments: [
            ("1536", 1536), ("64MiB", 64 << 20), ("1.5 GiB", 3 << 29), ("2G", 2 << 30), ("7kb", 7168), ("0", 0),
            ("1 T", 1 << 40),
        ])
    func parses(text: String, value: UInt64) {
        #expect(ByteCount(parsing: text)?.value == value)
    }

    @Test("is not read from anything else", arguments: ["", "x", "-1", "1 PiB", "9999999T", "1i", "1.2.3"])
    func refuses(text: String) {
        #expect(ByteCount(parsing: text) == nil)
    }

    @Test("is the largest there is when a unit would pass that")
    func saturates() {
        #expect(ByteCount.gibibytes(1 << 34) == ByteCount(.max))
        #expect(ByteCount.mebibytes(.max) == ByteCount(.max))
        #expect(ByteCount.kibibytes(.max >> 10).value == .max << 10)
    }

    @Test("is shown with at most one decimal place")
    func describes() {
        #expect(ByteCount(640).description == "640 B")
        #expect(ByteCount.kibibytes(1).description == "1 KiB")
        #expect(ByteCount(3 << 29).description == "1.5 GiB")
        #expect(ByteCount((1 << 20) - 1).description == "1 MiB")
        #expect(ByteCount.zero < ByteCount.mebibytes(1))
    }
}

@Suite("A checksum")
struct ChecksumTests {
    @Test("depends on the bytes, on the key and on the part")
    func sensitive() {
        let bytes = [UInt8](repeating: 3, count: 100)
        let shorter = Array(bytes.dropLast())
        let key = PrefixHash.sha256([1])
        let sum = unsafe Checksum.of(bytes.span.bytes, key: key, part: 0)
        #expect(unsafe sum == Checksum.of(bytes.span.bytes, key: key, part: 0))
        #expect(unsafe sum != Checksum.of(bytes.span.bytes, key: key, part: 1))
        #expect(unsafe sum != Checksum.of(bytes.span.bytes, key: .sha256([2]), part: 0))
        #expect(unsafe sum != Checksum.of(shorter.span.bytes, key: key, part: 0))
    }
}
