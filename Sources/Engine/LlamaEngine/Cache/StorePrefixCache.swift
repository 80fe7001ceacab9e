// The store behind the engine's interface to a cache.

import KVFormat
import PrefixStore

/// A space of a store. A failure of the store is a miss for the engine; the latest reason is kept.
final class StorePrefixCache: PrefixCache {
    let space: Space
    private(set) var failure: StoreError?

    /// One of this many matches that are not worth loading is loaded all the same: only loading measures the rate, and
    /// a disk that was slow may be fast again.
    private static let matchesPerTrial = 8
    private var skippedMatches = 0

    init(_ space: Space) { self.space = space }

    func load(_ tokens: [UInt32], limit: Int, into targets: (Int) -> [PageTarget]?) -> LoadedPrefix {
        do throws(StoreError) {
            let match = try space.match(tokens)
            let found = min(match.tokenCount, limit)
            let count = worthLoading(match, found)
            space.recordSkipped(tokens: found - count)
            guard count > 0, let pages = targets(count) else { return LoadedPrefix() }
            let loaded = try match.load(into: pages, limit: count)
            return LoadedPrefix(
                tokens: loaded.tokens, hotTokens: loaded.tokensByTier.hot, coldTokens: loaded.tokensByTier.cold,
                remoteTokens: loaded.tokensByTier.remote, place: loaded.place)
        } catch {
            failure = error
            return LoadedPrefix()
        }
    }

    /// How many of the `found` tokens to load: those that load faster than they can be computed.
    private func worthLoading(_ match: borrowing Match, _ found: Int) -> Int {
        let worth = min(match.tokensWorthLoading, found)
        guard worth < found else { return found }
        skippedMatches += 1
        return skippedMatches % Self.matchesPerTrial == 0 ? found : worth
    }

    func insert(_ tokens: ArraySlice<UInt32>, after place: SequencePlace?, page: (Int) -> PageSource) -> SequencePlace?
    {
        do throws(StoreError) {
            return try space.insert(tokens, after: place, page: page).place
        } catch {
            failure = error
            return place
        }
    }

    func recordPrefill(tokens: Int, time: Duration) {
        space.recordPrefill(tokens: tokens, time: time)
    }
}
