// What a store counts.

internal import Threads

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
