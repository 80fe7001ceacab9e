// KV that any process can compute again: the bytes of a token depend on the tokens up to it, as attention's do, and on
// nothing else.

package import KVFormat

/// The pages of a model that is nothing but a seed. A page that was cut at the wrong token, or that belongs to another
/// prefix or another model, shows in its bytes, and nothing that was expected has to be kept.
package struct GeneratedPages: Sendable {
    private let layout: KVLayout
    private let seed: UInt64

    /// The pages of the model `seed`; models of different seeds share nothing.
    package init(_ layout: KVLayout, seed: UInt64) {
        self.layout = layout
        self.seed = seed
    }

    /// The bytes of the tokens at `range` of the sequence `tokens`, planes one after the other without gaps.
    package func bytes(_ tokens: [TokenID], _ range: Range<Int>) -> [UInt8] {
        var state = tokens[..<range.lowerBound].reduce(seed) { SplitMix64.mix($0 ^ UInt64($1)) }
        let states = tokens[range].map { token in
            state = SplitMix64.mix(state ^ UInt64(token))
            return state
        }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(layout.pageBytes(tokens: states.count))
        for plane in 0..<layout.planeCount {
            for state in states { Self.append(layout.bytesPerToken(inPlane: plane), state, plane, to: &bytes) }
        }
        return bytes
    }

    private static func append(_ count: Int, _ state: UInt64, _ plane: Int, to bytes: inout [UInt8]) {
        var generator = SplitMix64(seed: state ^ UInt64(plane) << 32)
        var left = count
        while left > 0 {
            // Half of the bytes have few values, so that pages compress about as real KV does.
            let word = generator.next() & 0x03FF_03FF_03FF_03FF
            for index in 0..<min(8, left) { bytes.append(UInt8(truncatingIfNeeded: word >> (8 * UInt64(index)))) }
            left -= 8
        }
    }
}
