// Cosines and sines of the rotary position encoding.

import Glibc

/// The rotations of all positions used so far. The table grows, but a row never changes.
@safe
final class RopeTable {
    /// Half of a head's elements: the number of angles per position.
    let half: Int
    private let frequencies: [Float]
    private var memory = AlignedMemory(byteCount: 0)
    private var positions = 0
    private let limit: Int

    /// The rotations for heads of `headDimension` elements, up to `maxPositions` positions.
    init(_ parameters: RopeParameters, headDimension: Int, maxPositions: Int) {
        half = headDimension / 2
        limit = maxPositions
        frequencies = Self.frequencies(parameters, headDimension: headDimension)
    }

    /// The angle that each pair of elements turns by per position.
    static func frequencies(_ parameters: RopeParameters, headDimension: Int) -> [Float] {
        (0..<headDimension / 2).map { index in
            let exponent = Float(2 * index) / Float(headDimension)
            let base = 1 / pow(parameters.theta, exponent)
            switch parameters.scaling {
            case .none: return base
            case .linear(let factor): return base / factor
            case .llama3(let factor, let low, let high, let original):
                let waveLength = 2 * Float.pi / base
                let longest = Float(original) / low
                let shortest = Float(original) / high
                if waveLength < shortest { return base }
                if waveLength > longest { return base / factor }
                let share = (Float(original) / waveLength - low) / (high - low)
                return (1 - share) * base / factor + share * base
            }
        }
    }

    /// Makes the rows of the positions below `count` available.
    func prepare(positions count: Int) {
        guard count > positions else { return }
        let grown = min(max(count, 2 * positions, 256), max(limit, count))
        let next = AlignedMemory(floats: grown * 2 * half)
        unsafe next.base.copyMemory(from: memory.base, byteCount: positions * 2 * half * MemoryLayout<Float>.size)
        for position in positions..<grown {
            let row = unsafe next.floats + position * 2 * half
            for index in 0..<half {
                let angle = Double(Float(position) * frequencies[index])
                unsafe row[index] = Float(cos(angle))
                unsafe row[half + index] = Float(sin(angle))
            }
        }
        memory = next
        positions = grown
    }

    /// `half` cosines of a prepared position; its sines follow.
    func row(_ position: Int) -> UnsafePointer<Float> { unsafe UnsafePointer(memory.floats + position * 2 * half) }
}
