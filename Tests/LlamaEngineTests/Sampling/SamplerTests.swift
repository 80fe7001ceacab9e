import Foundation
import Testing
import TestKit

@testable import LlamaEngine

@Suite("The sampler")
struct SamplerTests {
    @Test("at temperature 0 takes the largest logit, of equal ones the lowest id")
    func greedy() {
        #expect(draw(.greedy, [1, 3, 2]) == 1)
        #expect(draw(.greedy, [2, 5, 5, 5]) == 1)
        #expect(draw(.greedy, [-0.0, 0.0]) == 0)
        #expect(draw(.greedy, [.nan, -.infinity, -7]) == 2)
        #expect(draw(.greedy, [1, .infinity, .infinity]) == 1)
        #expect(draw(.greedy, [.nan, .nan]) == 0)
        #expect(draw(.greedy, [-.infinity]) == 0)
    }

    @Test("draws each token as often as its probability says", arguments: [0.5, 1, 2] as [Float])
    func frequencies(temperature: Float) throws {
        let logits: [Float] = [0, 1, 2, -1, .nan, -.infinity]
        let weights = logits.map { $0.isFinite ? exp(Double($0) / Double(temperature)) : 0 }
        try check(try SamplingParameters(temperature: temperature, seed: 7), logits, weights)
    }

    @Test("with top-k draws among the k most probable alone, of equal ones the lowest ids")
    func topK() throws {
        let weights: [Double] = [exp(1.0), 0, 0, exp(2.0), exp(1.0), 0]
        try check(try SamplingParameters(temperature: 1, topK: 3, seed: 1), [1, 0.5, 0, 2, 1, 1], weights)
        #expect(draw(try SamplingParameters(temperature: 1, topK: 1, seed: 3), [0, 4, 4]) == 1)
        try check(try SamplingParameters(temperature: 1, topK: 99, seed: 1), [0, 0], [1, 1])
    }

    @Test("with top-p draws among the fewest that reach the probability")
    func topP() throws {
        let logits = [0.1, 0.5, 0.3, 0.1].map { Float(log($0)) }
        try check(try SamplingParameters(temperature: 1, topP: 0.75, seed: 2), logits, [0, 0.5, 0.3, 0])
        try check(try SamplingParameters(temperature: 1, topP: 0.4, seed: 2), logits, [0, 1, 0, 0])
        try check(try SamplingParameters(temperature: 1, topP: 0.85, seed: 2), logits, [0.1, 0.5, 0.3, 0])
        #expect(draw(try SamplingParameters(temperature: 1, topP: 0.0001), [3]) == 0)
    }

    @Test("applies top-p to what top-k has left")
    func both() throws {
        let logits = [0.1, 0.5, 0.3, 0.1].map { Float(log($0)) }
        // Of the two left, 0.5 / 0.8 is beyond 0.6 already.
        try check(try SamplingParameters(temperature: 1, topK: 2, topP: 0.6, seed: 5), logits, [0, 1, 0, 0])
    }

    @Test("with the same seed gives the same tokens, with another seed others")
    func seeds() throws {
        let logits = [Float](repeating: 0, count: 1_000)
        func run(_ seed: UInt64) throws -> [UInt32] {
            var sampler = Sampler(try SamplingParameters(temperature: 1, seed: seed))
            return (0..<20).map { _ in sampler.next(logits: logits.span) }
        }
        #expect(try run(1) == run(1))
        #expect(try run(1) != run(2))
        // Recorded once: a seed must mean the same in every version and on every machine.
        #expect(try run(42).prefix(6) == recorded[...])
    }

    @Test("chooses what a plain sort of all probabilities chooses, for random logits and parameters")
    func model() throws {
        let seed = TestSeed.fixed(20_261_124, "sampler")
        var random = RandomSource(seed: seed)
        for round in 0..<400 {
            let count = Int.random(in: 1...40, using: &random)
            let logits = (0..<count).map { _ in Float(Int.random(in: -6...6, using: &random)) / 2 }
            let topK = Int.random(in: 1...45, using: &random)
            let topP = Float.random(in: 0.05...0.999, using: &random)
            let parameters = try SamplingParameters(temperature: 1.5, topK: topK, topP: topP, seed: UInt64(round))
            let allowed = Self.allowed(logits, temperature: 1.5, topK: topK, topP: Double(topP))
            var sampler = Sampler(parameters)
            for _ in 0..<10 {
                let id = sampler.next(logits: logits.span)
                #expect(allowed.contains(id), "seed \(seed), round \(round)")
            }
        }
    }

    @Test(
        "refuses parameters out of bounds, by name",
        arguments: [
            (-1, nil, 1, "temperature"), (.nan, nil, 1, "temperature"), (.infinity, nil, 1, "temperature"),
            (1, 0, 1, "top-k"), (1, -3, 1, "top-k"), (1, nil, 0, "top-p"), (1, nil, 1.1, "top-p"),
            (1, nil, .nan, "top-p"),
        ] as [(Float, Int?, Float, String)])
    func refuses(temperature: Float, topK: Int?, topP: Float, name: String) {
        do throws(EngineError) {
            _ = try SamplingParameters(temperature: temperature, topK: topK, topP: topP)
            Issue.record("accepted")
        } catch .invalidSampling(let parameter, _) {
            #expect(parameter == name)
        } catch {
            Issue.record("\(error)")
        }
    }

    private let recorded: [UInt32] = [83, 378, 680, 924, 991, 769]

    /// The tokens that may be drawn: top-k, then top-p of what is left; probabilities on the edge count as in.
    private static func allowed(_ logits: [Float], temperature: Double, topK: Int, topP: Double) -> Set<UInt32> {
        let weights = logits.map { exp(Double($0) / temperature) }
        let order = logits.indices.sorted { (-weights[$0], $0) < (-weights[$1], $1) }.prefix(topK)
        let total = order.reduce(0) { $0 + weights[$1] }
        var sum = 0.0
        var result = Set<UInt32>()
        for id in order {
            result.insert(UInt32(id))
            sum += weights[id]
            if sum >= total * topP * (1 + 1e-9) { break }
        }
        return result
    }

    private func draw(_ parameters: SamplingParameters, _ logits: [Float]) -> UInt32 {
        var sampler = Sampler(parameters)
        return sampler.next(logits: logits.span)
    }

    /// Draws 20,000 tokens and compares their counts with `weights`: within five standard deviations, never where 0.
    private func check(_ parameters: SamplingParameters, _ logits: [Float], _ weights: [Double]) throws {
        var sampler = Sampler(parameters)
        let draws = 20_000
        var counts = [Int](repeating: 0, count: logits.count)
        for _ in 0..<draws { counts[Int(sampler.next(logits: logits.span))] += 1 }
        let total = weights.reduce(0, +)
        for (count, weight) in zip(counts, weights) {
            let probability = weight / total
            let expected = Double(draws) * probability
            let deviation = (expected * (1 - probability)).squareRoot()
            #expect(abs(Double(count) - expected) <= 5 * deviation)
        }
    }
}

@Suite("The random source")
struct RandomSourceTests {
    @Test("gives the published numbers of xoshiro256** behind SplitMix64")
    func recorded() {
        var source = RandomSource(seed: 0)
        #expect((0..<3).map { _ in source.next() } == [0x99EC5F36CB75F2B4, 0xBF6E1F784956452A, 0x1A5F849D4933E6E0])
    }

    @Test("gives numbers from 0 up to 1, evenly")
    func unit() {
        var source = RandomSource(seed: 9)
        let values = (0..<10_000).map { _ in source.nextUnit() }
        #expect(values.allSatisfy { $0 >= 0 && $0 < 1 })
        #expect(abs(values.reduce(0, +) / 10_000 - 0.5) < 0.02)
    }
}
