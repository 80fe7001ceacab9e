// Records of pages, side states and blocks: header, frame table and frames.

import CLevel
import KVFormat

@testable import PageCodec

extension FuzzTarget {
    /// A record as it lies in the store: kind, layout, whether it is sealed and its sums are made right; then its
    /// bytes.
    static let record = FuzzTarget(
        name: "record", subject: "records of pages, side states and blocks, plain and sealed", longest: 1 << 16,
        seeds: { Records.seeds() },
        run: { input in
            let choice = input.byte()
            let shape = Records.Shape(input.byte())
            var bytes = input.rest()
            if choice & 1 != 0 { Forging.forge(&bytes, key: shape.key, seal: shape.seal) }
            Records.readAll(bytes, shape, tokens: choice >> 1, input)
        })
}

/// What the targets of records share.
enum Records {
    /// What a record is read as.
    struct Shape {
        let kind: RecordHeader.Kind
        let layout: KVLayout
        let element: KVElement
        let seal: SpaceSeal?

        init(_ choice: Int) {
            kind = RecordHeader.Kind(rawValue: UInt8(choice & 3)) ?? .page
            layout = Records.layouts[choice >> 2 & 3]
            element = [.opaque, .bf16, .fp32, .int8][choice >> 2 & 3]
            seal = choice & 16 == 0 ? nil : Forging.seal
        }

        /// The key that the record is stored under.
        var key: PrefixHash { kind == .sideState ? .sideState(of: Forging.key, name: "state") : Forging.key }

        @_lifetime(copy bytes)
        func view(_ bytes: RawSpan) throws(RecordDamage) -> RecordView {
            switch kind {
            case .page: try RecordView(bytes, key: key, layout: layout, seal: seal)
            case .sideState: try RecordView(sideState: bytes, key: Forging.key, name: "state", seal: seal)
            case .block: try RecordView(block: bytes, key: key, element: element, seal: seal)
            }
        }
    }

    /// Small layouts: two bytes an element, four, planes of many kinds, and pages that nobody looks into.
    static let layouts: [KVLayout] = {
        let planes = [
            KVPlane(layer: 0, rowBytes: 64, element: .bf16), KVPlane(layer: 0, rowBytes: 8, element: .int8),
            KVPlane(layer: 1, rowBytes: 34, element: .opaque), KVPlane(layer: 2, rowBytes: 32, element: .fp32),
        ]
        let made = [
            try? KVLayout(layers: 2, kvHeads: 2, headDimension: 32, element: .bf16, pageSize: 8),
            try? KVLayout(layers: 1, kvHeads: 1, headDimension: 64, element: .fp32, pageSize: 16),
            try? KVLayout(planes: planes, pageSize: 8),
            try? KVLayout.opaque(bytesPerPage: 4096, pageSize: 16),
        ].compactMap { $0 }
        precondition(made.count == 4, "all layouts are within the limits")
        return made
    }()

    /// Decoders with the kernels of all levels that this CPU has.
    static let kernels = [CLEVEL_PORTABLE, CLEVEL_AVX2, CLEVEL_AVX512, CLEVEL_AVX512_VBMI2]
        .filter { $0.rawValue <= clevel_supported().rawValue }.map { PlaneKernels(level: $0) }

    private static let seedByte = content(1)[0]

    /// Reads a record in every way; all kernels must agree.
    static func readAll(_ bytes: [UInt8], _ shape: Shape, tokens: Int, _ input: FuzzInput) {
        var first: Result<[UInt8], RecordDamage>?
        for kernels in kernels {
            let found = read(bytes, shape, tokens: tokens, kernels)
            if let first { input.require(found == first, "the kernels read a record alike") }
            first = found
        }
        guard case .success(let content) = first else { return }
        // All seeds begin with the same byte.
        input.plant(shape.seal == nil && content.first.map { $0 != seedByte } == true)
    }

    private static func read(
        _ bytes: [UInt8], _ shape: Shape, tokens: Int, _ kernels: PlaneKernels
    ) -> Result<[UInt8], RecordDamage> {
        do throws(RecordDamage) {
            let view = try shape.view(bytes.raw)
            for frame in 0..<view.frameCount { _ = view.isSound(frame: frame) }
            let decoder = RecordDecoder(kernels)
            guard shape.kind == .page else { return .success(try decodeBlob(view, decoder)) }
            let wanted = shape.layout.isDivisible ? 1 + tokens % view.tokens : view.tokens
            return .success(try decodePage(view, wanted, shape.layout, decoder))
        } catch {
            return .failure(error)
        }
    }

    private static func decodePage(
        _ view: borrowing RecordView, _ tokens: Int, _ layout: KVLayout, _ decoder: RecordDecoder
    ) throws(RecordDamage) -> [UInt8] {
        // Exactly as large as the page, so that the sanitizer sees what is written beside it.
        let size = layout.pageBytes(tokens: tokens)
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
        defer { unsafe memory.deallocate() }
        guard let base = memory.baseAddress else { return [] }
        unsafe memory.initializeMemory(as: UInt8.self, repeating: 0)
        try decoder.decode(view, tokens: tokens, into: unsafe PageTarget(base, capacity: tokens))
        return unsafe [UInt8](memory)
    }

    private static func decodeBlob(
        _ view: borrowing RecordView, _ decoder: RecordDecoder
    ) throws(RecordDamage) -> [UInt8] {
        // An input cannot make more than this out of its few bytes, unless what it says of its size is a lie.
        guard view.rawByteCount <= 1 << 24 else { return [] }
        var content = [UInt8](repeating: 0, count: view.rawByteCount)
        var span = content.mutableSpan
        var target = unsafe span.mutableBytes
        try decoder.decode(blob: view, into: &target)
        return content
    }

    // MARK: Seeds

    /// Records of all kinds, layouts and codecs, with and without a seal.
    static func seeds() -> [[UInt8]] {
        (0..<32).filter { $0 & 3 < 3 }.flatMap { choice -> [[UInt8]] in
            let shape = Shape(choice)
            return [CodecChoice.raw, .zstd, .kbit].flatMap { codec in
                [false, true].map { isTail in [1, UInt8(choice)] + encoded(shape, codec, isTail: isTail) }
            }
        }
    }

    /// Bytes that compress: few values in every second place.
    static func content(_ count: Int) -> [UInt8] {
        var state: UInt64 = 7
        return (0..<count).map { index in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let rare = UInt8(0x3C + (state >> 33 | 64).trailingZeroBitCount)
            return index % 2 == 0 ? UInt8(truncatingIfNeeded: state >> 40) : rare
        }
    }

    private static func encoded(_ shape: Shape, _ codec: CodecChoice, isTail: Bool) -> [UInt8] {
        let encoder = RecordEncoder(salt: { SealBytes(low: 1, high: 2) })
        let layout = shape.layout
        let tokens = isTail && layout.isDivisible ? layout.pageSize / 2 + 1 : layout.pageSize
        let blob = content(isTail ? 96 : 3072)
        let record = EncodedRecord()
        switch shape.kind {
        case .page:
            let page = content(layout.pageBytes(tokens: tokens))
            unsafe page.withUnsafeBytes { page in
                guard let base = page.baseAddress else { return }
                encoder.encode(
                    page: unsafe PageSource(base, capacity: tokens), tokens: tokens, layout: layout, key: shape.key,
                    codec: codec, seal: shape.seal, into: record)
            }
        case .sideState:
            encoder.encode(
                sideState: blob.raw, key: Forging.key, name: "state", codec: codec, seal: shape.seal, into: record)
        case .block:
            encoder.encode(
                block: blob.raw, element: shape.element, key: shape.key, codec: codec, seal: shape.seal, into: record)
        }
        var bytes = unsafe record.bytes.withUnsafeBytes { unsafe [UInt8]($0) }
        // Inputs are sealed when they are read, so a seed is what is sealed.
        if let seal = shape.seal { open(&bytes, seal, shape.key) }
        return bytes
    }

    /// Decrypts the frames where they are.
    private static func open(_ bytes: inout [UInt8], _ seal: SpaceSeal, _ key: PrefixHash) {
        let header = RecordHeader(bytes.raw)
        let contentKey = seal.recordKey(key, salt: header.salt)
        var start = FrameEntry.offset(header.frameCount)
        for index in 0..<header.frameCount {
            let entry = FrameEntry(bytes.raw, index: index)
            let frame = start..<start + entry.encodedBytes
            var plain = [UInt8](repeating: 0, count: frame.count)
            let isSound = unsafe plain.withUnsafeMutableBytes { plain in
                unsafe contentKey.decrypt(
                    bytes.raw.extracting(frame), number: UInt64(index) + 1, known: RawSpan(), tag: entry.tag,
                    to: plain.baseAddress)
            }
            precondition(isSound, "what was just sealed can be opened")
            bytes.replaceSubrange(frame, with: plain)
            start = frame.upperBound
        }
    }
}
