// What the engine asks of a prefix cache.

import KVFormat

/// Tokens that a cache has put into an engine's pages.
struct LoadedPrefix: Equatable {
    /// Tokens loaded, from position 0 on.
    var tokens = 0
    /// How many of them came from RAM, and how many from disk.
    var hotTokens = 0
    var coldTokens = 0
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

    /// Stores pages of `tokens`: `pages[i]` holds page `fromPage + i`; the last one ends with `tokens`, within a page
    /// or not.
    func insert(_ tokens: [UInt32], fromPage: Int, pages: [PageSource])

    /// Tells the cache how long computing took, so that it knows when loading is worth it.
    func recordPrefill(tokens: Int, nanoseconds: UInt64)
}
