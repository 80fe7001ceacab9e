// The interface that the engine expects of a prefix cache.

import KVFormat
import PrefixStore

/// Tokens that a cache has loaded into an engine's pages.
struct LoadedPrefix: Equatable {
    /// Tokens loaded, from position 0 on.
    var tokens = 0
    /// How many of them came from RAM, from disk, and from another host's.
    var hotTokens = 0
    var coldTokens = 0
    var remoteTokens = 0
    /// Where the next insert of the sequence begins; nil for its first page.
    var place: SequencePlace?
}

/// A cache of KV pages under their token ids. `StorePrefixCache` uses a store; the tests have a cache in memory.
///
/// No call fails: the engine computes what a cache cannot load, and for the next request the cache may work again.
protocol PrefixCache: AnyObject {
    /// Loads the longest stored prefix of `tokens`, at most `limit` tokens.
    ///
    /// - Parameter targets: called once with the number of tokens; returns a target for each of their pages, or nil to
    ///   decline.
    /// - Returns: what was loaded. It is less than announced when a page turns out to be damaged.
    func load(_ tokens: [UInt32], limit: Int, into targets: (Int) -> [PageTarget]?) -> LoadedPrefix

    /// Stores the pages of `tokens` behind `place`. The last page ends where `tokens` end, even inside a page.
    ///
    /// - Returns: where the next insert begins: behind the whole pages, or at `place` when nothing could be stored.
    func insert(_ tokens: ArraySlice<UInt32>, after place: SequencePlace?, page: (Int) -> PageSource) -> SequencePlace?

    /// Tells the cache how long computing took, so that it can judge when loading is worth it.
    func recordPrefill(tokens: Int, time: Duration)
}
