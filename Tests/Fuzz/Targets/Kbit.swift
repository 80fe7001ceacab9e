// The codes of fixed length with escapes, alike at every level.

import CPlanes

@testable import PageCodec

extension FuzzTarget {
    /// Elements (2 bytes), bits of a code, escapes (2 bytes); then the coded bytes, padded with zeros or cut.
    static let kbit = FuzzTarget(
        name: "kbit", subject: "chunks of codes of fixed length with escapes", longest: 1 << 13,
        seeds: { [(64, 2), (200, 4), (700, 6), (2000, 3)].map { seedOfKbit(count: $0, bits: $1) } },
        run: { input in
            let count = 1 + input.word() % 8192
            // A chunk without codes is copied, and never unpacked.
            let bits = 1 + input.byte() % 7
            let escapes = input.word()
            let head = KbitChunk.head(bits: bits, escapeCount: escapes)
            guard let size = KbitChunk.codedBytes(head, count: count) else { return }
            let given = input.rest().prefix(size)
            let coded = given + [UInt8](repeating: 0, count: size - given.count)
            var first: [UInt8]??
            for kernels in Records.kernels {
                let found = unpacked(coded, head, count, kernels)
                if let first { input.require(found == first, "the kernels unpack a chunk alike") }
                first = .some(found)
            }
            if case .some(.some(let top)) = first {
                input.plant(top.reduce(0) { $0 &+ Int($1) } % 64 == 7)
            }
        })

    private static func unpacked(
        _ coded: some Collection<UInt8>, _ head: UInt32, _ count: Int, _ kernels: PlaneKernels
    ) -> [UInt8]? {
        // Copies of exactly this size, for the sanitizer.
        let source = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: max(coded.count, 1))
        let target = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: count)
        defer {
            unsafe source.deallocate()
            unsafe target.deallocate()
        }
        _ = unsafe source.initialize(from: coded)
        guard let from = source.baseAddress, let to = target.baseAddress else { return nil }
        let chunk = unsafe KbitChunk(head, from, count: count)
        return unsafe kernels.unpack(chunk, count: count, top: to) ? unsafe [UInt8](target) : nil
    }

    private static func seedOfKbit(count: Int, bits: Int) -> [UInt8] {
        let content = Records.content(2 * count)
        let top = (0..<count).map { content[2 * $0 + 1] }
        let values = [UInt8](0x3C...0x7A)
        var codes = [UInt8](repeating: 0, count: KbitChunk.codeBytes(bits: bits, count: count))
        var escapes = [UInt8](repeating: 0, count: count + 1)
        let escaped = unsafe codes.withUnsafeMutableBufferPointer { codes in
            unsafe escapes.withUnsafeMutableBufferPointer { escapes -> Int in
                guard let codes = codes.baseAddress, let escapes = escapes.baseAddress else { return 0 }
                return unsafe Records.kernels[0].pack(
                    top, count: count, bits: bits, values: values, codes: codes, escapes: escapes)
            }
        }
        let number = count - 1
        return [UInt8(number & 255), UInt8(number >> 8), UInt8(bits - 1), UInt8(escaped & 255), UInt8(escaped >> 8)]
            + values.prefix((1 << bits) - 1) + codes + escapes.prefix(escaped)
    }
}
