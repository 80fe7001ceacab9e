// Pages for the benchmark when there are no real ones: normally distributed numbers with one scale per plane.
//
// Attention keys and values of a trained model look similar: each layer has its own scale, the exponents of one layer
// take few values, and the mantissas are noise. Real KV is a little more regular, so it compresses a little better.

internal import Foundation
internal import PrefixStore

/// Makes pages, always the same ones.
struct GeneratedPages {
    let layout: KVLayout
    private let element: KVElement
    /// Numbers of a normal distribution, drawn by index: 10 times faster than computing each number.
    private let normal: [Float]

    init(_ layout: KVLayout) {
        self.layout = layout
        element = layout.element ?? .bf16
        var generator = BenchRandom(seed: 1)
        normal = (0..<1 << 16).map { _ in generator.normal() }
    }

    /// Writes `count` pages to a file.
    func write(_ count: Int, to path: String) throws {
        let size = layout.bytesPerPage
        let memory = try PageBuffer(size)
        let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else { throw Self.unwritable(path) }
        defer { close(file) }
        for page in 0..<count {
            fill(memory, page)
            guard unsafe Foundation.write(file, memory.base, size) == size else { throw Self.unwritable(path) }
        }
    }

    private static func unwritable(_ path: String) -> CommandFailure {
        CommandFailure(
            status: .noRoom, sentence: "The file of pages \(path) cannot be written.",
            remedy: "Name a folder on a disk with more room with --store.")
    }

    private func fill(_ memory: PageBuffer, _ page: Int) {
        var generator = BenchRandom(seed: UInt64(page) + 2)
        for plane in 0..<layout.planeCount {
            let scale = Float(0.05) * Float(1 + (plane * 7) % 13)
            let start = layout.pageSize * layout.bytesPerToken(beforePlane: plane)
            let end = start + layout.pageSize * layout.bytesPerToken(inPlane: plane)
            for offset in stride(from: start, to: end, by: element.groupBytes) {
                let value = normal[Int(truncatingIfNeeded: generator.next() & 0xFFFF)] * scale
                store(value, in: memory, at: offset)
            }
        }
    }

    private func store(_ value: Float, in memory: PageBuffer, at offset: Int) {
        switch element {
        case .fp32: unsafe memory.base.storeBytes(of: value, toByteOffset: offset, as: Float.self)
        case .fp16:
            unsafe memory.base.storeBytes(
                of: Float16(value).bitPattern, toByteOffset: offset, as: UInt16.self)
        default:
            let bits = UInt16(truncatingIfNeeded: value.bitPattern >> 16)
            unsafe memory.base.storeBytes(of: bits, toByteOffset: offset, as: UInt16.self)
        }
    }
}

/// SplitMix64: small, fast, and the same on every machine.
struct BenchRandom {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    /// 64 random bits.
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    /// A number of the standard normal distribution, by Box and Muller.
    mutating func normal() -> Float {
        let first = (Double(next() >> 11) + 1) / Double(1 << 53)
        let second = Double(next() >> 11) / Double(1 << 53)
        return Float((-2 * log(first)).squareRoot() * cos(2 * .pi * second))
    }
}
