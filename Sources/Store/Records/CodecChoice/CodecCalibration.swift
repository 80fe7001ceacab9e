// How fast this CPU decodes, measured once per process when `auto` first needs it.

internal import KVFormat
internal import PageCodec
internal import Threads

/// Decode rates of one thread, measured on one frame: a page of 512 KiB, generated to resemble the bf16 keys and values
/// of a model.
enum CodecCalibration {
    /// The rates of this CPU, with an assumed read rate. The first call takes two milliseconds; the others wait for it.
    static let rates: CodecRates = {
        guard let layout = try? KVLayout(layers: 1, kvHeads: 8, headDimension: 256, element: .bf16, pageSize: 64) else {
            preconditionFailure("the layout of the calibration is sound")
        }
        let sample = Sample(layout)
        return CodecRates(
            read: MovingRate.assumed, raw: sample.decodeRate(.raw), kbit: sample.decodeRate(.kbit),
            zstd: sample.decodeRate(.zstd))
    }()
}

/// One page, and the memory that it is decoded into.
@safe
private final class Sample {
    private static let rounds = 3
    private static let key = PrefixHash.sha256([])

    private let layout: KVLayout
    private let page: UnsafeMutableRawBufferPointer
    private let decoded: UnsafeMutableRawBufferPointer

    init(_ layout: KVLayout) {
        self.layout = layout
        unsafe page = .allocate(byteCount: layout.bytesPerPage, alignment: 64)
        unsafe decoded = .allocate(byteCount: layout.bytesPerPage, alignment: 64)
        // One chunk is generated and repeated, because the codec never uses one chunk for another.
        let size = 128 << 10
        let chunk = unsafe UnsafeMutableRawBufferPointer(rebasing: page.prefix(size))
        unsafe Self.fill(chunk)
        for start in stride(from: size, to: layout.bytesPerPage, by: size) {
            unsafe UnsafeMutableRawBufferPointer(rebasing: page[start...]).copyMemory(
                from: UnsafeRawBufferPointer(chunk))
        }
    }

    deinit {
        unsafe page.deallocate()
        unsafe decoded.deallocate()
    }

    /// Elements with random signs and mantissas. Each further exponent is half as frequent, as in most tensors.
    @unsafe
    private static func fill(_ bytes: UnsafeMutableRawBufferPointer) {
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for offset in stride(from: 0, to: bytes.count, by: 2) {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            let random = state >> 20
            let exponent = 126 - min(UInt64((random >> 8).trailingZeroBitCount), 20)
            let element = (random & 0x80) << 8 | exponent << 7 | random & 0x7F
            unsafe bytes.storeBytes(of: UInt16(element).littleEndian, toByteOffset: offset, as: UInt16.self)
        }
    }

    /// Raw bytes per second of this thread's own time, in the best of a few rounds, because other programs may use the
    /// CPU and its caches meanwhile.
    func decodeRate(_ codec: CodecChoice) -> Double {
        guard let from = unsafe page.baseAddress else { preconditionFailure("memory has an address") }
        let source = unsafe PageSource(from, capacity: layout.pageSize)
        let record = RecordEncoder().encode(
            page: source, tokens: layout.pageSize, layout: layout, key: Self.key, codec: codec)
        let decoder = RecordDecoder()
        var best = UInt64.max
        for _ in 0..<Self.rounds {
            let start = SystemClock.threadNanoseconds()
            do throws(RecordDamage) {
                try decode(record, decoder)
            } catch {
                preconditionFailure("a record that was just encoded is sound: \(error)")
            }
            best = min(best, SystemClock.threadNanoseconds() - start)
        }
        return Double(layout.bytesPerPage) / Double(max(best, 1)) * 1e9
    }

    private func decode(_ record: EncodedRecord, _ decoder: RecordDecoder) throws(RecordDamage) {
        guard let to = unsafe decoded.baseAddress else { preconditionFailure("memory has an address") }
        let view = try RecordView(record.bytes, key: Self.key, layout: layout)
        try decoder.decode(
            view, tokens: layout.pageSize, into: unsafe PageTarget(to, capacity: layout.pageSize))
    }
}

extension StoreCodec {
    /// The encoder's value for the codec that an engine chose; for `auto`, with the current rates.
    func choice(readingAt rate: ReadRate) -> CodecChoice {
        switch self {
        case .raw: return .raw
        case .zstd: return .zstd
        case .kbit: return .kbit
        case .auto:
            var rates = CodecCalibration.rates
            rates.read = rate.bytesPerSecond
            return .auto(rates)
        }
    }
}
