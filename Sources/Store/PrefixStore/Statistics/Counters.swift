// Numbers that many threads add to.

internal import Synchronization

/// The counters that PrefixStore keeps itself; the tiers keep theirs.
struct Counters: Sendable {
    let matches = Counter()
    let requestedTokens = Counter()
    let hotTokens = Counter()
    let coldTokens = Counter()
    let remoteTokens = Counter()
    let loadedBytes = Counter()
    let loadNanoseconds = Counter()
    let savedNanoseconds = Counter()
    let skippedTokens = Counter()
    let insertedPages = Counter()
    let orphanPages = Counter()
    let damagedPages = Counter()
}

/// A number that many threads add to. Relaxed: nothing is ordered by it.
final class Counter: Sendable {
    private let number = Atomic<UInt64>(0)

    /// The sum so far.
    var value: UInt64 { number.load(ordering: .relaxed) }

    /// Wraps: callers report times of their own, and no report may end the process.
    func add(_ amount: UInt64) { number.wrappingAdd(amount, ordering: .relaxed) }

    /// Replaces the number; of two threads that do so at once, one is lost.
    func set(_ value: UInt64) { number.store(value, ordering: .relaxed) }
}
