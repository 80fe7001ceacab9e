// The decoder of zstd's literals beside zstd itself: the same bytes, or a refusal that leaves the last word to zstd.

import CPlanes
import Testing
import TestKit

@testable import PageCodec

@Suite("The decoder of zstd's literals")
struct ZstdLiteralsTests {
    /// The levels that have a kernel of their own.
    static let fast = KernelTests.levels.filter { $0.level != CLEVEL_PORTABLE }

    /// What the bytes of a chunk look like.
    enum Content: CaseIterable {
        /// Exponents of normally distributed numbers.
        case exponents
        /// Two, three, and a hundred values, equally often.
        case two, three, many
        /// One value more often than all others together: its code has one bit.
        case peaked
        /// Values that get rarer by half, down to codes of 11 bits and more.
        case halving
        /// Values near 255, whose weights zstd has to compress.
        case high
        /// One value only.
        case constant

        func byte(_ random: inout SplitMix64) -> UInt8 {
            let bits = random.next()
            switch self {
            case .exponents: return UInt8(truncatingIfNeeded: random.gaussian().bitPattern >> 23)
            case .two: return UInt8(bits & 1)
            case .three: return UInt8(bits % 3)
            case .many: return UInt8(bits % 100)
            case .peaked: return bits % 10 < 7 ? 9 : UInt8(bits % 23)
            case .halving: return UInt8(100 + (bits | 1 << 20).trailingZeroBitCount)
            case .high: return UInt8(255 - abs(random.gaussian()) * 5)
            case .constant: return 77
            }
        }
    }

    private func compressed(_ bytes: [UInt8]) -> [UInt8]? {
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

    /// What `decode` makes of `frame`; nil when it refuses. The bytes around the target must not change.
    private func decoded(
        _ frame: [UInt8], _ count: Int, _ decode: (UnsafePointer<UInt8>, UnsafeMutablePointer<UInt8>) -> Bool
    ) -> [UInt8]? {
        var memory = [UInt8](repeating: 0xA5, count: count + 128)
        // A frame of its own size, so that the address sanitizer sees what is read beyond it.
        let done = unsafe memory.withUnsafeMutableBufferPointer { memory in
            unsafe frame.withUnsafeBufferPointer { frame in
                guard let from = frame.baseAddress, let to = memory.baseAddress else { return false }
                return unsafe decode(from, to + 64)
            }
        }
        #expect(memory.prefix(64).allSatisfy { $0 == 0xA5 } && memory.suffix(64).allSatisfy { $0 == 0xA5 })
        return done ? Array(memory[64..<64 + count]) : nil
    }

    private func byKernel(_ frame: [UInt8], _ count: Int, _ kernels: PlaneKernels) -> [UInt8]? {
        unsafe decoded(frame, count) {
            unsafe kernels.zstdLiterals($0, frame.count, to: $1, count, ahead: $0, aheadCount: frame.count)
        }
    }

    private func byZstd(_ frame: [UInt8], _ count: Int) -> [UInt8]? {
        let zstd = ZstdDecompressor()
        return unsafe decoded(frame, count) { unsafe zstd.decompress($0, frame.count, to: $1, count) }
    }

    @Test("gives zstd's bytes for every content and many lengths", arguments: Content.allCases)
    func agrees(content: Content) {
        var random = SplitMix64(seed: TestSeed.fresh("zstd literals"))
        var taken = 0
        for length in Array(1..<80) + [255, 256, 257, 1000, 1023, 1024, 1025, 4096, 16_383, 16_384, 50_001, 65_536] {
            let bytes = (0..<length).map { _ in content.byte(&random) }
            guard let frame = compressed(bytes) else { continue }
            #expect(byZstd(frame, length) == bytes)
            for kernels in Self.fast {
                guard let found = byKernel(frame, length, kernels) else { continue }
                taken += 1
                #expect(found == bytes)
            }
            #expect(byKernel(frame, length, KernelTests.levels[0]) == nil)
        }
        // What it does not take goes to zstd and is right as well, but slow.
        switch content {
        case .exponents, .many, .high: #expect(taken >= 5 * Self.fast.count)
        default: break
        }
    }

    /// What the kernel makes of `bytes`; nil when it leaves them to zstd. The bytes behind the room must not change.
    private func made(_ bytes: [UInt8], room: Int, _ kernels: PlaneKernels) -> [UInt8]? {
        var target = [UInt8](repeating: 0xA5, count: room + 64)
        let size = unsafe target.withUnsafeMutableBufferPointer { target in
            unsafe bytes.withUnsafeBufferPointer { source -> Int? in
                guard let from = source.baseAddress, let to = target.baseAddress else { return nil }
                return unsafe kernels.zstdCompressLiterals(from, source.count, to: to, room: room)
            }
        }
        #expect(target.suffix(64).allSatisfy { $0 == 0xA5 })
        return size.map { Array(target.prefix($0)) }
    }

    @Test("makes frames that zstd reads, no more than 2 % larger than zstd's own", arguments: Content.allCases)
    func makesFrames(content: Content) throws {
        var random = SplitMix64(seed: TestSeed.fresh("made zstd frames"))
        for length in [1024, 1025, 2047, 4099, 16_383, 16_384, 40_000, 65_535, 65_536, 65_792, 131_072] {
            let bytes = (0..<length).map { _ in content.byte(&random) }
            for kernels in Self.fast {
                let room = ZstdCompressor.bound(length)
                guard let frame = made(bytes, room: room, kernels) else {
                    // One value has no code, many are dear to count.
                    #expect(content == .constant || content == .many)
                    continue
                }
                #expect(byZstd(frame, length) == bytes, "\(content), \(length) bytes")
                if let found = byKernel(frame, length, kernels) { #expect(found == bytes) }
                if let zstds = compressed(bytes) { #expect(frame.count <= zstds.count + zstds.count / 50 + 20) }
                // With too little room there is no frame, and nothing beyond it.
                #expect(made(bytes, room: frame.count / 2, kernels) == nil)
            }
            #expect(made(bytes, room: ZstdCompressor.bound(length), KernelTests.levels[0]) == nil)
        }
    }

    @Test("makes frames in which every value has a code, however rare")
    func rareValues() throws {
        var random = SplitMix64(seed: TestSeed.fresh("rare values"))
        for kernels in Self.fast.suffix(1) {
            for _ in 0..<200 {
                // Few values, and most of the others once or twice, which a sample does not see.
                // Half of the times they lie far apart.
                let (least, distance) = (UInt8(random.next() % 60), 1 + UInt8(random.next() % 2) * 3)
                var bytes = (0..<8192).map { _ in least + UInt8(3 + random.next() % 5) }
                for value in 0..<48 where random.next() % 3 > 0 {
                    bytes[Int(random.next() % 8192)] = least + UInt8(value) * distance
                }
                let frame = try #require(made(bytes, room: ZstdCompressor.bound(8192), kernels))
                #expect(byZstd(frame, 8192) == bytes)
            }
        }
    }

    @Test("takes what the codec makes of exponents", arguments: [2048, 16_384, 65_536])
    func takesExponents(length: Int) throws {
        var random = SplitMix64(seed: TestSeed.fresh("zstd literals of exponents"))
        let bytes = (0..<length).map { _ in Content.exponents.byte(&random) }
        let frame = try #require(compressed(bytes))
        for kernels in Self.fast { #expect(byKernel(frame, length, kernels) == bytes) }
    }

    @Test("accepts none of 20,000 changed frames that zstd refuses, and never gives other bytes than zstd")
    func changedFrames() throws {
        var random = SplitMix64(seed: TestSeed.fresh("changed zstd frames"))
        var accepted = 0
        for content in [Content.exponents, .many, .high, .three, .halving] {
            let length = 2400
            let sound = try #require(compressed((0..<length).map { _ in content.byte(&random) }))
            for _ in 0..<4000 {
                var frame = sound
                for _ in 0..<Int.random(in: 1...3, using: &random) {
                    // Half of the changes hit the headers and the code's description.
                    let at = Int.random(in: 0..<(Bool.random(using: &random) ? 40 : frame.count), using: &random)
                    if Bool.random(using: &random) {
                        frame[at] ^= 1 << UInt8.random(in: 0..<8, using: &random)
                    } else {
                        frame[at] = UInt8.random(in: 0...255, using: &random)
                    }
                }
                if Int.random(in: 0..<20, using: &random) == 0 {
                    frame.removeLast(Int.random(in: 1...9, using: &random))
                }
                // All levels above the portable one share the kernel.
                for kernels in Self.fast.suffix(1) {
                    guard let found = byKernel(frame, length, kernels) else { continue }
                    accepted += 1
                    let isZstds = byZstd(frame, length) == found
                    let changes = zip(sound, frame).enumerated().filter { $1.0 != $1.1 }.map { "\($0): \($1)" }
                    #expect(isZstds, "\(content), \(frame.count) of \(sound.count) bytes, changed \(changes)")
                }
            }
        }
        // A change that lies in the symbols' bits often leaves a sound frame.
        #expect(accepted > 0 || Self.fast.isEmpty)
    }
}
