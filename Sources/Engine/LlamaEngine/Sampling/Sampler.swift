// Chooses the next token of one sequence.

import Glibc

/// Turns logits into tokens, with fixed parameters and its own random source. Make one per sequence.
public struct Sampler: Sendable {
    /// How tokens are chosen.
    public let parameters: SamplingParameters
    private var random: RandomSource
    /// Kept between calls, so that no token allocates memory for a whole vocabulary.
    private var candidates: [Candidate] = []

    /// A token and its unnormalised probability.
    private struct Candidate {
        let id: UInt32
        let weight: Double

        /// Whether this candidate is more probable, or equally probable with a lower id. The order is strict, so that
        /// every machine sorts the same way.
        func precedes(_ other: Candidate) -> Bool {
            weight > other.weight || (weight == other.weight && id < other.id)
        }
    }

    /// A sampler at the beginning of its random numbers.
    public init(_ parameters: SamplingParameters) {
        self.parameters = parameters
        random = RandomSource(seed: parameters.seed)
    }

    /// The next token.
    /// - Parameter logits: one value per id, not empty. NaN counts as impossible. If nothing is possible, 0 is chosen.
    /// - Returns: an id below `logits.count`.
    /// - Complexity: linear in the size of the vocabulary, and n log n in the number of tokens that the cut-offs leave.
    public mutating func next(logits: Span<Float>) -> UInt32 {
        precondition(logits.count > 0 && logits.count <= UInt32.max)
        let best = Self.best(logits)
        guard parameters.temperature > 0, logits[Int(best)].isFinite else { return best }
        weigh(logits, largest: logits[Int(best)])
        if let topK = parameters.topK, topK < candidates.count { keepMostProbable(topK) }
        if parameters.topP < 1 { keepNucleus() }
        return draw()
    }

    /// The id of the largest logit, the lowest of equal ones.
    private static func best(_ logits: Span<Float>) -> UInt32 {
        var best = 0
        var largest = -Float.infinity
        for id in logits.indices where logits[id] > largest {
            best = id
            largest = logits[id]
        }
        return UInt32(best)
    }

    /// Fills `candidates` with the possible tokens. The most probable one has the weight 1.
    private mutating func weigh(_ logits: Span<Float>, largest: Float) {
        candidates.removeAll(keepingCapacity: true)
        let temperature = Double(parameters.temperature)
        for id in logits.indices {
            let weight = exp((Double(logits[id]) - Double(largest)) / temperature)
            if weight > 0 { candidates.append(Candidate(id: UInt32(id), weight: weight)) }
        }
    }

    /// Keeps the `count` most probable candidates.
    private mutating func keepMostProbable(_ count: Int) {
        candidates.sort { $0.precedes($1) }
        candidates.removeSubrange(count...)
    }

    /// Keeps the fewest most probable candidates that together reach `topP` of the total.
    private mutating func keepNucleus() {
        let total = candidates.reduce(0) { $0 + $1.weight }
        let target = total * Double(parameters.topP)
        // Candidates below the share that n - 1 others would need to fill the rest cannot be in the nucleus, and need
        // no sorting.
        let least = (total - target) / Double(max(candidates.count - 1, 1))
        candidates.removeAll { $0.weight < least && $0.weight < 1 }
        candidates.sort { $0.precedes($1) }
        var sum = 0.0
        let end = candidates.firstIndex { candidate in
            sum += candidate.weight
            return sum >= target
        }
        if let end { candidates.removeSubrange((end + 1)...) }
    }

    /// Draws one of the candidates by weight.
    private mutating func draw() -> UInt32 {
        let total = candidates.reduce(0) { $0 + $1.weight }
        var rest = random.nextUnit() * total
        for candidate in candidates {
            rest -= candidate.weight
            if rest < 0 { return candidate.id }
        }
        // Rounding can leave a small rest, which belongs to the last candidate.
        return candidates.last?.id ?? 0
    }
}
