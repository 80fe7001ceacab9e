// The sequences that are put, and the memory that their pages are parts of.

internal import Foundation
internal import PrefixStore

/// Sequences of 16 MiB of pages of 64 KiB, 1 MiB or 8 MiB. Of four in a row the last begins as the first does.
///
/// A page is a part of one pool of generated numbers, so that making one costs nothing, and a loaded page is compared
/// with its part, a sixteenth of it.
@safe
final class Traffic: @unchecked Sendable {
    // Unchecked because the pool does not change after `init`.
    static let sequenceBytes = 16 << 20
    static let pageSize = 64
    /// Where in the pool a page can begin, and blocks that are compared.
    private static let block = 4096
    private static let starts = 16_384

    let models: [ModelIdentity]
    private let pool: UnsafeMutableRawPointer
    private let first: Int

    /// The traffic of worker `number`, whose sequences no other has.
    init(worker number: Int) throws {
        first = number << 40
        let shapes = [(layers: 8, dimension: 32), (layers: 16, dimension: 256), (layers: 32, dimension: 1024)]
        models = try shapes.map { shape in
            let layout = try KVLayout(
                layers: shape.layers, kvHeads: 1, headDimension: shape.dimension, element: .bf16,
                pageSize: Self.pageSize)
            let digest = Digest.sha256(Array("scale \(layout.bytesPerPage)".utf8))
            return try ModelIdentity(
                weights: digest, layout: layout, positions: "none", tokenizer: digest, engine: "scale",
                engineFormat: 1)
        }
        let bytes = Self.starts * Self.block + (8 << 20)
        unsafe pool = .allocate(byteCount: bytes, alignment: Self.block)
        var random = Random(seed: 1)
        let normal = (0..<1 << 16).map { _ in UInt16(truncatingIfNeeded: random.normal().bitPattern >> 16) }
        for offset in stride(from: 0, to: bytes, by: 8) {
            let places = random.next()
            let word = (0..<4).reduce(UInt64(0)) { $0 << 16 | UInt64(normal[Int(places >> (16 * $1) & 0xFFFF)]) }
            unsafe pool.storeBytes(of: word, toByteOffset: offset, as: UInt64.self)
        }
    }

    deinit { unsafe pool.deallocate() }

    /// The model of sequence `number`.
    func model(of number: Int) -> Int { number / 4 % models.count }

    func layout(of number: Int) -> KVLayout { models[model(of: number)].layout }

    private func pages(of number: Int) -> Int { Self.sequenceBytes / layout(of: number).bytesPerPage }

    /// The sequence that page `page` of sequence `number` was made for.
    private func owner(of number: Int, page: Int) -> Int {
        first + (number % 4 == 3 && page < pages(of: number) / 2 ? number - 3 : number)
    }

    /// Token ids of sequence `number`.
    func tokens(of number: Int) -> [TokenID] {
        let half = pages(of: number) / 2
        return [(0, half), (half, pages(of: number))].flatMap { from, to in
            var random = Random(seed: UInt64(owner(of: number, page: from)) << 1 | UInt64(min(from, 1)))
            return (from..<to).flatMap { _ in
                (0..<Self.pageSize / 2).flatMap { _ in
                    let word = random.next()
                    return [
                        TokenID(truncatingIfNeeded: word & 0x1FFFF), TokenID(truncatingIfNeeded: word >> 40 & 0x1FFFF),
                    ]
                }
            }
        }
    }

    private func part(_ number: Int, page: Int) -> UnsafeMutableRawPointer {
        var random = Random(seed: UInt64(owner(of: number, page: page)) << 8 ^ UInt64(page))
        return unsafe pool + Int(random.next() % UInt64(Self.starts)) * Self.block
    }

    /// The bytes of a page.
    func source(_ number: Int, page: Int) -> PageSource {
        unsafe PageSource(part(number, page: page), capacity: Self.pageSize)
    }

    /// Whether `memory` holds a page, as far as a sixteenth of it shows.
    @unsafe
    func isPage(_ number: Int, page: Int, at memory: UnsafeRawPointer) -> Bool {
        let expected = unsafe part(number, page: page)
        let shift = (number + page) % 16 * Self.block
        return stride(from: shift, to: layout(of: number).bytesPerPage, by: 16 * Self.block).allSatisfy { offset in
            unsafe memcmp(memory + offset, expected + offset, Self.block) == 0
        }
    }
}

/// SplitMix64.
struct Random {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 &+ 1 }

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
