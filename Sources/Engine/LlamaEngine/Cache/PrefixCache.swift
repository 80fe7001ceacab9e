// What the engine asks of a prefix cache.

import KVFormat
import PrefixStore

/// Tokens that a cache has put into an engine's pages.
struct LoadedPrefix: Equatable {
    /// Tokens loaded, from position 0 on.
    var tokens = 0
    /// How many of them came from RAM, and how many from disk.
    var hotTokens = 0
    var coldTokens = 0
    /// Where the next insert of the sequence begins; nil for its first page.
    var place: SequencePlace?
}

/// A cache of KV pages under their token ids; `StorePrefixCache` is the product's, the tests have one in memory.
///
/// Nothing here fails: what a cache cannot do is computed instead, and the next request may find it well again.
protocol PrefixCache: AnyObject {
    /// Loads the longest stored prefix of `tokens`, at most `limit` tokens.
    ///
    /// - Parameter targets: called once with the number of tokens; gives a target for each page of them, or nil to
    ///   decline.
    /// - Returns: what was loaded; less than announced when a page turned out damaged.
    func load(_ tokens: [UInt32], limit: Int, into targets: (Int) -> [PageTarget]?) -> LoadedPrefix

    /// Stores the pages of `tokens` behind `place`; the last one ends with `tokens`, within a page or not.
    ///
    /// - Returns: where the next insert begins: behind the whole pages, or at `place` when nothing could be stored.
    func insert(_ tokens: ArraySlice<UInt32>, after place: SequencePlace?, page: (Int) -> PageSource) -> SequencePlace?

    /// Tells the cache how long computing took, so that it knows when loading is worth it.
    func recordPrefill(tokens: Int, time: Duration)
}
