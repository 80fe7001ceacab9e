// Measures the codecs on one core, and memcpy in the same run for comparison.

public import ArgumentParser
import Glibc
public import KVFormat
import PageCodec

/// `swift run -c release codec-bench`.
@main
struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "codec-bench",
        abstract: "Measure the codec on one core: GB of raw bytes a CPU second, and ratio.",
        discussion: """
            Prints one JSON object. Pages have Llama-3.1-8B's shape unless said. With --file the bytes come from a file of raw \
            elements (real KV), repeated as often as needed; without it they are normally distributed with a scale a plane.
            """)

    @Option var element = KVElement.bf16
    @Option(help: "Pages, one after the other.") var pages = 16
    @Option(help: "Figures are medians of so many rounds.") var rounds = 7
    @Option(help: "A file of raw elements.") var file: String?
    @Option(help: "Only this codec.") var codec: StoreCodec?
    @Option(help: "What the file holds, for the table.") var name = "real text"
    @Option var layers = 32
    @Option var kvHeads = 8
    @Option var headDimension = 128
    @Option(help: "Tokens a page.") var pageSize = 64
    @Flag(help: "Measure each codec in a sealed space too, in the same turns: `kbit_sealed` and so on.") var sealed =
        false

    func validate() throws {
        if min(pages, rounds, layers, kvHeads, headDimension, pageSize) < 1 {
            throw ValidationError("Numbers are 1 or more.")
        }
    }

    func run() throws {
        let layout = try KVLayout(
            layers: layers, kvHeads: kvHeads, headDimension: headDimension, element: element, pageSize: pageSize)
        let size = layout.bytesPerPage * pages
        let source = Buffer(size)
        let target = Buffer(size)
        try source.fill(layout, pages: pages, file: file)
        let encoder = RecordEncoder()
        let decoder = RecordDecoder()
        var copying: [Double] = []
        var contenders = CodecChoice.allCases
            .filter { choice in codec.map { $0.rawValue == Self.name(choice) } ?? true }
            .flatMap { choice in
                [nil, sealed ? SpaceSeal() : nil].prefix(sealed ? 2 : 1)
                    .map { Contender(codec: choice, seal: $0, pages: pages) }
            }
        // In turns, so that a slow moment of the machine does not hit only one codec. The first round warms up.
        for round in 0...rounds {
            let copied = seconds { unsafe target.base.copyMemory(from: source.base, byteCount: size) }
            if round > 0 { copying.append(copied) }
            for index in contenders.indices {
                let encoded = seconds { contenders[index].encode(source, layout, encoder) }
                // So that it cannot keep what the previous codec left there.
                unsafe memset(target.base, 0xA5, size)
                let decoded = try seconds { try contenders[index].decode(layout, decoder, into: target) }
                guard unsafe memcmp(source.base, target.base, size) == 0 else {
                    throw WrongBytes(codec: contenders[index].name)
                }
                if round > 0 { contenders[index].note(encoded, decoded) }
            }
        }
        let results = contenders.map { contender in
            "\"\(contender.name)\": {\"ratio\": \(rounded(Double(size) / Double(contender.stored))), "
                + "\"encode_gbps\": \(rate(size, contender.encoding)), \"decode_gbps\": \(rate(size, contender.decoding))}"
        }
        print(
            "{\"element\": \"\(element)\", \"bytes\": \(size), \"pages\": \"\(file == nil ? "generated" : name)\", "
                + (["\"memcpy_gbps\": \(rate(size, copying))"] + results).joined(separator: ", ") + "}")
    }

    fileprivate static func name(_ codec: CodecChoice) -> String {
        if case .auto = codec { "auto" } else { "\(codec)" }
    }

    /// The CPU seconds of a call, so that a busy machine matters less.
    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = now()
        try body()
        return now() - start
    }

    private func now() -> Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }

    /// Bytes in the median of `seconds`.
    private func rate(_ bytes: Int, _ seconds: [Double]) -> Double {
        rounded(Double(bytes) / seconds.sorted()[seconds.count / 2] / 1e9)
    }

    private func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }
}

/// A codec that is not lossless.
private struct WrongBytes: Error, CustomStringConvertible {
    let codec: String
    var description: String { "\(codec) gave WRONG BYTES back" }
}

/// A codec, the records that it made last, and the seconds that its rounds took.
private struct Contender {
    let codec: CodecChoice
    let seal: SpaceSeal?
    private(set) var encoding: [Double] = []
    private(set) var decoding: [Double] = []
    private let keys: [PrefixHash]
    private let records: [EncodedRecord]

    init(codec: CodecChoice, seal: SpaceSeal?, pages: Int) {
        self.codec = codec
        self.seal = seal
        keys = (0..<pages).map { PrefixHash.sha256([UInt8($0 & 255), UInt8($0 >> 8)]) }
        records = keys.map { _ in EncodedRecord() }
    }

    var name: String { Bench.name(codec) + (seal == nil ? "" : "_sealed") }

    /// Bytes of the records.
    var stored: Int { records.map(\.byteCount).reduce(0, +) }

    mutating func note(_ encoded: Double, _ decoded: Double) {
        encoding.append(encoded)
        decoding.append(decoded)
    }

    func encode(_ source: Buffer, _ layout: KVLayout, _ encoder: RecordEncoder) {
        for page in records.indices {
            unsafe encoder.encode(
                page: PageSource(source.base + page * layout.bytesPerPage, capacity: layout.pageSize),
                tokens: layout.pageSize, layout: layout, key: keys[page], codec: codec, seal: seal,
                into: records[page])
        }
    }

    func decode(_ layout: KVLayout, _ decoder: RecordDecoder, into target: Buffer) throws {
        for page in records.indices {
            let record = records[page]
            let view = try RecordView(record.bytes, key: keys[page], layout: layout, seal: seal)
            try unsafe decoder.decode(
                view, tokens: layout.pageSize,
                into: PageTarget(target.base + page * layout.bytesPerPage, capacity: layout.pageSize))
        }
    }
}

/// Page-aligned memory, freed with the process.
@safe
struct Buffer {
    let base: UnsafeMutableRawPointer
    let size: Int

    init(_ size: Int) {
        unsafe base = .allocate(byteCount: size, alignment: 4096)
        self.size = size
        unsafe memset(base, 0, size)
    }

    /// Fills the buffer from `file`, or with numbers of a normal distribution whose scale depends on the plane.
    func fill(_ layout: KVLayout, pages: Int, file: String?) throws {
        if let file { return try read(file) }
        let element = layout.element ?? .bytes
        var state: UInt64 = 1
        for page in 0..<pages {
            for plane in 0..<layout.planeCount {
                let scale = Float(0.05) * Float(1 + (plane * 7) % 13)
                let start = page * layout.bytesPerPage + layout.pageSize * layout.bytesPerToken(beforePlane: plane)
                let end = start + layout.pageSize * layout.bytesPerToken(inPlane: plane)
                for offset in stride(from: start, to: end, by: element.groupBytes) {
                    store(gaussian(&state) * scale, element, at: offset)
                }
            }
        }
    }

    private func store(_ value: Float, _ element: KVElement, at offset: Int) {
        switch element {
        case .fp32: unsafe base.storeBytes(of: value, toByteOffset: offset, as: Float.self)
        case .fp16: unsafe base.storeBytes(of: Float16(value), toByteOffset: offset, as: Float16.self)
        case .bf16:
            let bits = UInt16(truncatingIfNeeded: value.bitPattern >> 16)
            unsafe base.storeBytes(of: bits, toByteOffset: offset, as: UInt16.self)
        default:
            unsafe base.storeBytes(of: Int8(max(-127, min(127, value * 30))), toByteOffset: offset, as: Int8.self)
        }
    }

    private func gaussian(_ state: inout UInt64) -> Float {
        var sum: Float = -6
        for _ in 0..<3 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            for part in 0..<4 { sum += Float((state >> (16 * UInt64(part))) & 0xFFFF) / 65_536 }
        }
        return sum
    }

    private func read(_ path: String) throws {
        guard let stream = unsafe fopen(path, "rb") else { throw ValidationError("cannot read \(path)") }
        let got = unsafe fread(base, 1, size, stream) & ~3
        unsafe fclose(stream)
        if got == 0 { throw ValidationError("\(path) is empty") }
        var filled = got
        while filled < size {
            let part = min(got, size - filled)
            unsafe (base + filled).copyMemory(from: base, byteCount: part)
            filled += part
        }
    }
}

extension StoreCodec: ExpressibleByArgument {}

// By name: the numbers are the format's.
extension KVElement: ExpressibleByArgument {
    /// The names, for the help.
    public static var allValueStrings: [String] { allCases.map(\.description) }

    /// Reads `bf16`.
    public init?(argument: String) { self.init(argument) }
}
