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

    /// A tier of its own with room for `pages` pages of 4 tokens, and for `staged` pages that are not encoded.
    init(pages: Int, staged: Int = 0, spillBeforeEvict: (@Sendable (SpillPin) -> Bool)? = nil) throws {
        let capacity = ByteCount(UInt64(pages * Self.seatBytes))
        let staging = ByteCount(UInt64(staged * Self.seatBytes))
        try self.init(
            in: HotTier(capacity: capacity, stagingCapacity: staging, spillBeforeEvict: spillBeforeEvict))
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

    /// The name of page `page` of `tokens`.
    func name(_ tokens: [TokenID], page: Int) -> PageName {
        let first = page * layout.pageSize
        let chain = hashes(tokens)
        return PageName(
            root: root, parent: page == 0 ? root : chain[page - 1], hash: chain[page], firstToken: first,
            tokens: tokens[first..<min(first + layout.pageSize, tokens.count)])
    }

    /// Inserts page `page` of `tokens`. Its bytes stand for its record, which the tier does not look into.
    @discardableResult
    func insert(
        _ tokens: [TokenID], page: Int, now: Int64 = 0, isStored: Bool = true, expiry: Int64 = 0
    ) -> InsertOutcome {
        let name = name(tokens, page: page)
        return unsafe space.insert(
            name, record: bytes(tokens, from: name.firstToken, count: name.tokens.count).span.bytes, now: now,
            isStored: isStored, expiry: expiry)
    }

    /// Stages page `page` of `tokens`.
    func stage(_ tokens: [TokenID], page: Int, now: Int64 = 0) -> (outcome: InsertOutcome, pin: SpillPin?) {
        let name = name(tokens, page: page)
        let count = name.tokens.count
        return unsafe bytes(tokens, from: name.firstToken, count: count).withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return (.orphan, nil) }
            return unsafe space.stage(name, source: PageSource(base, capacity: count), now: now)
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
            sight.isOnDisk.append(match.isStored(page))
        }
        sight.wrongPages = wrongPages(in: match, tokens)
        return sight
    }

    /// The pages of `match` whose bytes are not those of `tokens`.
    func wrongPages(in match: borrowing HotMatch, _ tokens: [TokenID]) -> [Int] {
        var wrong: [Int] = []
        for page in 0..<match.pageCount {
            let count = match.matchedTokens(of: page)
            let found = bytes(of: match.content(of: page), stored: match.storedTokens(of: page), first: count)
            if found != bytes(tokens, from: page * layout.pageSize, count: count) { wrong.append(page) }
        }
        return wrong
    }

    /// The bytes that `pin` keeps, in one piece without gaps.
    func bytes(of pin: SpillPin) -> [UInt8] {
        let count = pin.name.tokens.count
        return bytes(of: pin.content, stored: count, first: count)
    }

    /// The first tokens of a page, in one piece without gaps.
    private func bytes(of content: HotContent, stored: Int, first count: Int) -> [UInt8] {
        var copied = [UInt8](repeating: 0, count: layout.pageBytes(tokens: count))
        unsafe copied.withUnsafeMutableBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            let target = unsafe PageTarget(base, capacity: count)
            switch content {
            case .staged(let source, _): target.copy(tokens: count, from: source, layout)
            case .record(let held):
                unsafe held.bytes.withUnsafeBytes { record in
                    guard let base = record.baseAddress else { return }
                    unsafe target.copy(tokens: count, from: PageSource(base, capacity: stored), layout)
                }
            case .none: break
            }
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
    var isOnDisk: [Bool] = []
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
