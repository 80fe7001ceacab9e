// What the store has learned about its own traffic: how soon the pages of each class come back, and so how much it is
// worth to keep a page.

internal import Glibc

/// For each class of pages and each age: how many bytes waited, and how many of them came back. The worth of a page
/// follows from these counts. It is the share of the page that will come back, per millisecond that it is kept, for the
/// best time to keep it. The page that is worth the least is evicted first.
///
/// This is the hit density of LHD (Beckmann, Chen, Cidon: NSDI 2018). The classes say how many continuations share a
/// page, and each age has its best horizon, as in Gittins' index. Nothing is tuned to one kind of traffic. A store
/// whose single requests never come back learns to give them up early; a store whose conversations continue keeps their
/// ends. As long as nothing is known, pages are evicted in the order of their last use. Within a class that is always
/// the order.
///
/// A value type; its owner must guard it. Old counts fade: each time that half the capacity has come back or been
/// evicted, what was counted before weighs 3 % less.
package struct UseHistory: Equatable, Sendable {
    /// Classes of pages, see `PageUse.useClass`.
    package static let classes = 6
    /// Number of ages: up to 1 s, 2 s, 4 s and so on; the last one begins at 48 days.
    package static let ages = 24

    private static let fading = 0.97
    /// Where each age begins, in milliseconds, and where the last one ends.
    private static let bounds: [Double] = (0...ages).map { $0 == 0 ? 0 : 1000 * exp2(Double($0 - 1)) }

    /// Bytes that came back or were evicted, and bytes that came back, by class and then by age.
    private var ended: [Double]
    private var returned: [Double]
    /// Bytes counted since the last fading.
    private var recent = 0.0
    private let capacity: Double
    private var worths: [Double]
    /// Whether much was counted since the worths were last computed.
    private var isStale = false

    /// The history of a store or tier of `capacity` bytes that knows nothing yet.
    package init(capacity: Int) {
        self.capacity = Double(max(capacity, 1))
        ended = Array(repeating: 0, count: Self.classes * Self.ages)
        returned = ended
        worths = (0..<ended.count).map { 1 / (1000 + Self.bounds[$0 % Self.ages]) }
    }

    /// Counts that a request found a page of `bytes` bytes at `now`. Call it before you update `use`.
    package mutating func countReturn(of use: PageUse, bytes: Int, at now: Int64) {
        count(use, bytes, now, returned: Double(bytes))
    }

    /// Counts that a page of `bytes` bytes is evicted at `now`.
    package mutating func countEviction(of use: PageUse, bytes: Int, at now: Int64) {
        count(use, bytes, now, returned: 0)
    }

    /// The counts, to be stored in a file: bytes ended, bytes returned, and bytes since the last fading.
    package var counts: [Float] { (ended + returned + [recent]).map { Float($0) } }

    /// How many numbers `counts` has.
    package static let countsLength = 2 * classes * ages + 1

    /// The history with these `counts`; nil when they are impossible.
    package init?(capacity: Int, counts: [Float]) {
        guard counts.count == Self.countsLength, counts.allSatisfy({ $0.isFinite && $0 >= 0 }) else { return nil }
        self.init(capacity: capacity)
        let half = Self.classes * Self.ages
        ended = counts[..<half].map { Double($0) }
        returned = counts[half..<2 * half].map { Double($0) }
        recent = Double(counts[2 * half])
        isStale = ended.contains { $0 > 0 }
    }

    /// The worth of a page of class `useClass` that was last used `age` milliseconds ago: the share of it that comes
    /// back, per millisecond that it is kept.
    ///
    /// - Complexity: nanoseconds.
    package func worth(ofClass useClass: Int, age: Int64) -> Double {
        let step = Self.step(age)
        let place = useClass * Self.ages + step
        guard step + 1 < Self.ages else { return worths[place] }
        let (start, end) = (Self.bounds[step], Self.bounds[step + 1])
        return worths[place] + (worths[place + 1] - worths[place]) * (Double(age) - start) / (end - start)
    }

    /// The class of the next page to evict: the one whose oldest page is worth the least. Within a class the oldest
    /// page is evicted, so that only one page of each class has to be compared.
    ///
    /// - Parameters:
    ///   - now: milliseconds since the Unix epoch.
    ///   - oldest: the time of the oldest page of a class that may be evicted; nil when the class has none.
    /// - Returns: nil when no class has a page.
    package func classToEvict<E: Error>(at now: Int64, oldest: (Int) throws(E) -> Int64?) throws(E) -> Int? {
        var least: (worth: Double, useClass: Int)?
        for useClass in 0..<Self.classes {
            guard let time = try oldest(useClass) else { continue }
            let worth = worth(ofClass: useClass, age: PageUse.age(of: time, at: now))
            if worth < least?.worth ?? .infinity { least = (worth, useClass) }
        }
        return least?.useClass
    }

    private static func step(_ age: Int64) -> Int {
        min(Int64.bitWidth - (max(age, 0) / 1000).leadingZeroBitCount, ages - 1)
    }

    private mutating func count(_ use: PageUse, _ bytes: Int, _ now: Int64, returned back: Double) {
        let place = use.useClass * Self.ages + Self.step(use.age(at: now))
        ended[place] += Double(bytes)
        returned[place] += back
        recent += Double(bytes)
        guard recent > capacity / 2 else { return }
        recent = 0
        isStale = true
        for place in ended.indices {
            ended[place] *= Self.fading
            returned[place] *= Self.fading
        }
    }
}

// MARK: - Learning

extension UseHistory {
    /// A few counted pages say little. So each age of each class begins with a guess, which weighs as much as a tenth
    /// of the capacity. For a class without history, the guess is the behaviour of all pages together.
    private var guessWeight: Double { capacity / 10 }

    /// Updates the worths when half the capacity was counted since the last time. Call it before an eviction.
    /// - Complexity: nothing to do, or about 50 us.
    package mutating func learn() {
        guard isStale else { return }
        isStale = false
        let all = rates(of: total(ended), total(returned)) { age, rate in age == 0 ? 0 : rate / 2 }
        for useClass in 0..<Self.classes {
            let places = useClass * Self.ages..<(useClass + 1) * Self.ages
            // The rate of all pages at that age, scaled by how far the class was above or below them at the age before.
            let own = rates(of: Array(ended[places]), Array(returned[places])) { age, rate in
                guard age > 0, all[age - 1] > 0 else { return all[age] }
                return rate * (all[age] / all[age - 1] + 0.5) / 2
            }
            for age in 0..<Self.ages {
                // Where nothing ever comes back, the older page must still be evicted first.
                let floor = 1e-6 / (1000 + Self.bounds[age])
                worths[places.lowerBound + age] = max(Self.best(own, from: age), floor)
            }
        }
    }

    private func total(_ values: [Double]) -> [Double] {
        (0..<Self.ages).map { age in
            (0..<Self.classes).reduce(0) { $0 + values[$1 * Self.ages + age] }
        }
    }

    /// The rate at which pages come back at each age, per millisecond, with a guess from the rate at the age before.
    private func rates(of ended: [Double], _ returned: [Double], guess: (Int, Double) -> Double) -> [Double] {
        var waiting = ended.reduce(0, +)
        var rates: [Double] = []
        for age in 0..<Self.ages {
            let width = Self.bounds[age + 1] - Self.bounds[age]
            waiting -= ended[age]
            let waited = (waiting + ended[age] / 2) * width
            let guessed = guessWeight * width
            rates.append((returned[age] + guessed * guess(age, rates.last ?? 0)) / (waited + guessed))
        }
        return rates
    }

    /// The highest share that comes back per millisecond of keeping, over all times for which a page of this age can be
    /// kept.
    private static func best(_ rates: [Double], from start: Int) -> Double {
        var (left, kept, best) = (1.0, 0.0, 0.0)
        for age in start..<ages {
            let width = bounds[age + 1] - bounds[age]
            let rate = rates[age]
            let next = left * exp(-rate * width)
            kept += rate * width > 1e-9 ? (left - next) / rate : left * width
            left = next
            best = max(best, (1 - left) / kept)
        }
        return best
    }
}
