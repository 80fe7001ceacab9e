// The index of a pack: its bytes, and what is made of damaged ones.

import KVFormat
import Testing
import TestKit

@testable import RemoteTier

@Suite("The index of a pack")
struct PackIndexTests {
    let index = PackIndex(
        root: .sha256([1]), entries: (0..<5).map { PackIndex.Entry(hash: .sha256([2, $0]), bytes: 1000 + Int($0)) })

    private func read(_ bytes: [UInt8]) -> PackIndex? { PackIndex(unsafe bytes.span.bytes) }

    @Test("has these bytes, in this version for ever")
    func golden() {
        let entry = PackIndex.Entry(hash: .zero, bytes: 0x010203)
        let hex = PackIndex(root: .zero, entries: [entry]).encoded.map { byte in
            String(byte >> 4, radix: 16) + String(byte & 15, radix: 16)
        }.joined()
        let zeros = String(repeating: "0", count: 64)
        #expect(hex == "5046587061636b31" + zeros + "0100000000000000" + zeros + "0302010000000000" + Self.goldenSum)
    }

    static let goldenSum = "605b4a953b2e4776"

    @Test("is read as it was written, with values behind it and without")
    func roundTrip() {
        #expect(read(index.encoded) == index && index.encoded.count == index.size)
        #expect(read(index.encoded + [1, 2, 3]) == index)
        let full = PackIndex(
            root: .zero, entries: (0..<PackIndex.pages).map { PackIndex.Entry(hash: .zero, bytes: $0 + 1) })
        #expect(full.encoded.count == PackIndex.largest && read(full.encoded) == full)
    }

    @Test("is refused after a change of any byte, and when it is cut")
    func damaged() {
        let sound = index.encoded
        for place in sound.indices {
            for change: UInt8 in [0x01, 0x80, 0xFF] {
                var bytes = sound
                bytes[place] ^= change
                #expect(read(bytes) == nil, "byte \(place)")
            }
        }
        for length in 0..<sound.count { #expect(read(Array(sound.prefix(length))) == nil) }
    }

    @Test("is refused under a right sum too, if it has no pages, too many, or sizes that no page has")
    func lies() {
        func forged(_ change: (inout [UInt8]) -> Void) -> [UInt8] {
            var bytes = Array(index.encoded.dropLast(8))
            change(&bytes)
            let sum = Checksum.of(unsafe bytes.span.bytes, key: index.root, part: 0)
            return bytes + (0..<8).map { UInt8(truncatingIfNeeded: sum >> (8 * UInt64($0))) }
        }
        #expect(read(forged { _ in }) == index)
        #expect(read(forged { $0[40] = 0 }) == nil)
        #expect(read(forged { $0[41] = 2 }) == nil)
        #expect(read(forged { $0[47] = 0x80 }) == nil)
        #expect(read(forged { $0.replaceSubrange(80..<88, with: [0, 0, 0, 0, 0, 0, 0, 0]) }) == nil)
        #expect(read(forged { $0[87] = 1 }) == nil)
    }

    @Test("gives packs their names, which another order or another size changes")
    func names() {
        var sizes = index.entries
        sizes[4] = PackIndex.Entry(hash: sizes[4].hash, bytes: 1)
        let others = [
            PackIndex(root: index.root, entries: index.entries.reversed()),
            PackIndex(root: index.root, entries: sizes), PackIndex(root: .zero, entries: index.entries),
        ]
        #expect(Set(([index] + others).map(\.name)).count == 4)
    }
}
