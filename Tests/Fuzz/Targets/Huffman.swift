// The own decoder of zstd's Huffman-coded literals beside zstd itself.

import CPlanes

@testable import PageCodec

extension FuzzTarget {
    /// How many bytes are expected (2 bytes), then a zstd frame. What the own decoder accepts, zstd must read alike.
    static let huffman = FuzzTarget(
        name: "huffman", subject: "the own decoder of zstd's Huffman-coded literals, beside zstd", longest: 1 << 14,
        seeds: {
            [100, 700, 3000, 12_000].flatMap { count in
                [1, 2].compactMap { step -> [UInt8]? in
                    let content = Records.content(2 * count)
                    let top = stride(from: 1, to: content.count, by: step).prefix(count).map { content[$0] }
                    return compressed(top).map { [UInt8(top.count & 255), UInt8(top.count >> 8)] + $0 }
                }
            }
        },
        run: { input in
            let count = input.word()
            let frame = input.rest()
            var expected: [UInt8]?
            for kernels in Records.kernels {
                guard let own = decoded(frame, count, by: kernels) else { continue }
                if expected == nil { expected = byZstd(frame, count) }
                input.require(own == expected, "the own decoder gives the bytes that zstd gives, or none")
                input.plant(own.reduce(0) { $0 &+ Int($1) } % 64 == 7)
            }
        })

    private static func decoded(_ frame: [UInt8], _ count: Int, by kernels: PlaneKernels) -> [UInt8]? {
        unsafe into(count) { target in
            unsafe frame.withUnsafeBufferPointer { frame in
                guard let start = frame.baseAddress else { return false }
                return unsafe kernels.zstdLiterals(
                    start, frame.count, to: target, count, ahead: start, aheadCount: frame.count)
            }
        }
    }

    private static func byZstd(_ frame: [UInt8], _ count: Int) -> [UInt8]? {
        let zstd = ZstdDecompressor()
        return unsafe into(count) { target in
            unsafe frame.withUnsafeBufferPointer { frame in
                guard let start = frame.baseAddress else { return false }
                return unsafe zstd.decompress(start, frame.count, to: target, count)
            }
        }
    }

    /// What `decode` writes into memory of exactly `count` bytes; nil when it refuses.
    @unsafe
    private static func into(_ count: Int, _ decode: (UnsafeMutablePointer<UInt8>) -> Bool) -> [UInt8]? {
        guard count > 0 else { return nil }
        let memory = UnsafeMutablePointer<UInt8>.allocate(capacity: count)
        defer { unsafe memory.deallocate() }
        guard unsafe decode(memory) else { return nil }
        return unsafe [UInt8](UnsafeBufferPointer(start: memory, count: count))
    }

    private static func compressed(_ bytes: [UInt8]) -> [UInt8]? {
        let zstd = ZstdCompressor(.exponents)
        var target = [UInt8](repeating: 0, count: ZstdCompressor.bound(bytes.count))
        let size = unsafe target.withUnsafeMutableBytes { target in
            unsafe bytes.withUnsafeBytes { source -> Int? in
                guard let from = source.baseAddress, let to = target.baseAddress else { return nil }
                return unsafe zstd.compress(from, source.count, to: to)
            }
        }
        return size.map { Array(target.prefix($0)) }
    }
}
