// The product behind the engine's interface to a cache.

import KVFormat
import PrefixStore

/// A space of a store. What the store cannot do is a miss for the engine; the latest reason is kept.
final class StorePrefixCache: PrefixCache {
    let space: Space
    private(set) var failure: StoreError?

    init(_ space: Space) { self.space = space }

    func load(_ tokens: [UInt32], limit: Int, into targets: (Int) -> [PageTarget]?) -> LoadedPrefix {
        do throws(StoreError) {
            let match = try space.match(tokens)
            let count = min(match.tokenCount, limit)
            guard count > 0, let pages = targets(count) else { return LoadedPrefix() }
            let loaded = space.load(match, into: pages, limit: count)
            return LoadedPrefix(tokens: loaded.tokens, hotTokens: loaded.hotTokens, coldTokens: loaded.coldTokens)
        } catch {
            failure = error
            return LoadedPrefix()
        }
    }

    func insert(_ tokens: [UInt32], fromPage: Int, pages: [PageSource]) {
        do throws(StoreError) {
            try space.insert(tokens, fromPage: fromPage, pages: pages)
        } catch {
            failure = error
        }
    }

    func recordPrefill(tokens: Int, nanoseconds: UInt64) {
        space.recordPrefill(tokens: tokens, nanoseconds: nanoseconds)
    }
}
