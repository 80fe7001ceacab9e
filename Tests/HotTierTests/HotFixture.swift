// A tier with one or more small spaces, and pages whose bytes can be recomputed from their token ids.

import KVFormat
import Testing
import TestKit
import Threads

@testable import HotTier

/// One space of a tier under test. Every byte of a page comes from the prefix that ends with its token, as in a real
/// model, so that a page that was cut at the wrong token, or taken from another prefix, shows.
struct Fixture: Sendable {
    let tier: HotTier
    let space: HotSpace

    var root: PrefixHash { space.root }
    var layout: KVLayout { space.layout }

    /// A tier of its own with room for `pages` pages of 4 tokens.
    init(pages: Int, spillBeforeEvict: (@Sendable (SpillPin) -> Bool)? = nil) throws {
        let capacity = ByteCount(UInt64(pages * Self.seatBytes))
        try self.init(in: HotTier(capacity: capacity, spillBeforeEvict: spillBeforeEvict))
    }

    /// One more space in `tier`.
    init(in tier: HotTier, name: String = "a space", layout: KVLayout? = nil) throws {
        self.tier = tier
        space = try tier.space(root: .sha256(Array(name.utf8)), layout: layout ?? Self.layout())
    }

    /// Every small page takes one seat of the smallest size.
    static let seatBytes = PagePool.alignment

    /// Two layers, keys wider than values: 96 bytes a token.
    static func layout(pageSize: Int = 4) throws -> KVLayout {
        try KVLayout(
            layers: 2, kvHeads: 2, keyDimension: 8, valueDimension: 4, element: .bf16, pageSize: pageSize)
    }

    /// The prefix hashes of all pages of `tokens`.
    func hashes(_ tokens: [TokenID]) -> [PrefixHash] {
        PrefixHash.chain(from: root, tokens: tokens[...], pageSize: layout.pageSize)
    }

    /// The bytes of `count` tokens from `first` of a sequence, plane after plane.
    func bytes(_ tokens: [TokenID], from first: Int, count: Int) -> [UInt8] {
        GeneratedPages(layout, seed: root.prefixWord).bytes(tokens, first..<first + count)
    }

    /// Inserts page `page` of `tokens`.
    @discardableResult
    func insert(
        _ tokens: [TokenID], page: Int, now: Int64 = 0, isStored: Bool = true, expiry: Int64 = 0
    ) -> InsertOutcome {
        let first = page * layout.pageSize
        let count = min(layout.pageSize, tokens.count - first)
        let chain = hashes(tokens)
        return unsafe bytes(tokens, from: first, count: count).withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return .orphan }
            let name = PageName(
                root: root, parent: page == 0 ? root : chain[page - 1], hash: chain[page], firstToken: first,
                tokens: tokens[first..<first + count])
            return unsafe space.insert(
                name, source: PageSource(base, capacity: count), now: now, isStored: isStored, expiry: expiry)
        }
    }

    /// Inserts the pages of `tokens` from page `first`, the tail as well.
    @discardableResult
    func insert(_ tokens: [TokenID], from first: Int = 0, now: Int64 = 0, isStored: Bool = true) -> [InsertOutcome] {
        let pages = (tokens.count + layout.pageSize - 1) / layout.pageSize
        return (min(first, pages)..<pages).map { insert(tokens, page: $0, now: now, isStored: isStored) }
    }

    /// Says that the page with `hash` is on disk; nothing when it is not here.
    func markStored(_ hash: PrefixHash) { tier.retain(hash)?.markStored() }

    /// Tokens that a match of `tokens` gives, after its bytes have been checked.
    func matched(_ tokens: [TokenID], now: Int64 = 0) -> Int {
        let sight = look(at: space.match(tokens, now: now), tokens)
        #expect(sight.wrongPages == [])
        return sight.tokenCount
    }

    /// What `match`, a match of `tokens`, says about itself.
    func look(at match: borrowing HotMatch, _ tokens: [TokenID]) -> Sight {
        let pages = 0..<match.pageCount
        var sight = Sight(tokenCount: match.tokenCount, isEmpty: match.isEmpty)
        for page in pages {
            sight.hashes.append(match.hash(of: page))
            sight.stored.append(match.storedTokens(of: page))
            sight.matched.append(match.matchedTokens(of: page))
            sight.hits.append(match.hits(of: page))
        }
        sight.wrongPages = wrongPages(in: match, tokens)
        return sight
    }

    /// The pages of `match` whose bytes, copied out, are not those of `tokens`.
    func wrongPages(in match: borrowing HotMatch, _ tokens: [TokenID]) -> [Int] {
        var wrong: [Int] = []
        for page in 0..<match.pageCount {
            let count = match.matchedTokens(of: page)
            var copied = [UInt8](repeating: 0, count: layout.pageBytes(tokens: count))
            unsafe copied.withUnsafeMutableBytes { bytes in
                guard let base = bytes.baseAddress else { return }
                unsafe match.copy(of: page, tokens: count, to: PageTarget(base, capacity: count)).run()
            }
            if copied != bytes(tokens, from: page * layout.pageSize, count: count) { wrong.append(page) }
        }
        return wrong
    }

    /// The bytes that `pin` keeps, in one piece without gaps.
    func bytes(of pin: SpillPin) -> [UInt8] {
        let count = pin.name.tokens.count
        var copied = [UInt8](repeating: 0, count: layout.pageBytes(tokens: count))
        unsafe copied.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            unsafe PageTarget(base, capacity: count).copy(
                tokens: count, from: pin.source, layout)
        }
        return copied
    }
}

/// What a lease says, as a value that can be compared.
struct Sight: Equatable {
    var tokenCount = 0
    var isEmpty = true
    var hashes: [PrefixHash] = []
    var stored: [Int] = []
    var matched: [Int] = []
    var hits: [Int] = []
    var wrongPages: [Int] = []
}

/// A lease that can be kept in an array.
final class Lease: Sendable {
    let match: HotMatch

    init(_ match: consuming HotMatch) { self.match = match }
}

extension HotTier {
    /// Whether the page with `hash` is here.
    func holds(_ hash: PrefixHash) -> Bool { state.withLock { $0.tree.page(hash) != RadixNode.none } }

    /// Pins the page with `hash`, as a spill does; nil when it is not here.
    func retain(_ hash: PrefixHash) -> SpillPin? {
        state.withLock { state in
            let node = state.tree.page(hash)
            return node == RadixNode.none ? nil : pinned(node, of: &state)
        }
    }

    /// Takes out the page with `hash` and all pages behind it, as a date that has passed does, and says how many.
    @discardableResult
    func remove(_ hash: PrefixHash) -> Int {
        state.withLock { state in
            let node = state.tree.page(hash)
            return node == RadixNode.none ? 0 : state.removeSubtree(of: node)
        }
    }

    /// Takes out all pages of all spaces but the pinned ones and the pages before them, and says how many.
    @discardableResult
    func removeAll() -> Int {
        state.withLock { state in
            state.tree.spaces.reduce(0) { removed, space in removed + state.removeSubtree(of: space.rootNode) }
        }
    }
}
