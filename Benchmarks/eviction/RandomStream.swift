// Random numbers from a seed: the same trace on every machine, from Swift's own arithmetic and four functions of Glibc.

internal import Glibc

/// A stream of numbers that depends on its seed only (SplitMix64, Steele et al., OOPSLA 2014).
struct RandomStream {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    /// Uniform between 0 and 1, neither included.
    mutating func unit() -> Double { (Double(next() >> 11) + 0.5) / 9_007_199_254_740_992 }

    /// Uniform among `range`.
    mutating func integer(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(unit() * Double(range.count))
    }

    /// True in `share` of the cases.
    mutating func chance(_ share: Double) -> Bool { unit() < share }

    /// Exponential: the gap between the events of a Poisson process.
    mutating func exponential(mean: Double) -> Double { -mean * log(unit()) }

    /// Log-normal: lengths of messages and times to think, most of them short and a few very long. `spread` is the
    /// standard deviation of the logarithm.
    mutating func logNormal(median: Double, spread: Double) -> Double {
        let normal = sqrt(-2 * log(unit())) * cos(2 * Double.pi * unit())
        return median * exp(spread * normal)
    }

    /// A log-normal number of tokens within `range`.
    mutating func tokens(median: Double, spread: Double, in range: ClosedRange<Int>) -> Int {
        min(max(Int(logNormal(median: median, spread: spread)), range.lowerBound), range.upperBound)
    }
}

/// Chooses among numbered things of which the k-th is chosen in proportion to `1 / k^exponent`.
struct Zipf {
    private let sums: [Double]

    init(count: Int, exponent: Double) {
        var sum = 0.0
        sums = (1...count).map {
            sum += pow(Double($0), -exponent)
            return sum
        }
    }

    func draw(_ random: inout RandomStream) -> Int {
        let point = random.unit() * (sums.last ?? 1)
        return sums.firstIndex { point < $0 } ?? sums.count - 1
    }
}
