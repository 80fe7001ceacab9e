// Matching on disk, exact to the token: page by page, and inside the page where the request leaves the stored prefix.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Finds the longest stored prefix of `tokens` from `firstToken` on.
    ///
    /// Whole pages are found by prefix hash and compared by token ids. Where the next page is missing, the match takes
    /// the first tokens of the child with the longest common run of token ids (except in opaque layouts). A page that
    /// is expired, suspect or cannot be trusted ends the match.
    ///
    /// - Parameters:
    ///   - tokens: the whole sequence.
    ///   - firstToken: where to begin; `parent` stands for everything before.
    ///   - parent: the prefix hash of `tokens[..<firstToken]`, or `root` at 0.
    ///   - root: the space root.
    ///   - layout: the space's layout.
    ///   - now: milliseconds since the Unix epoch, for expiry.
    ///   - seal: that of a sealed space.
    /// - Returns: the pages in order; the last page may be matched only in part.
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.system`. Damage of any kind is a shorter match.
    /// - Complexity: one look-up and one SHA-256 per page, in one read transaction; a miss is one look-up. Memory is
    ///   allocated for the result and for the end of the match, not for each page.
    package func match(
        _ tokens: [TokenID], from firstToken: Int, parent: PrefixHash, root: PrefixHash, layout: KVLayout, now: Int64,
        seal: SpaceSeal? = nil
    ) throws(StoreError) -> [ColdPage] {
        precondition(firstToken >= 0 && firstToken <= tokens.count, "a match begins inside its tokens")
        var walk = MatchWalk(
            tokens: tokens, root: root, pageSize: layout.pageSize, isDivisible: layout.isDivisible, now: now,
            tables: tables, suspects: pending.suspects, seal: seal, parent: parent, position: firstToken)
        do throws(LMDBError) {
            try environment.read { (transaction) throws(LMDBError) in try walk.run(transaction) }
        } catch {
            // The tree itself is damaged here. Nothing is written into such a tree, so the match is what was found
            // until then.
            guard error.isDamage else { throw StoreError(error, path: path, options: options) }
            pending.countDamage()
            noteDamagedTrees()
        }
        for (hash, reason) in walk.damage { pending.quarantine(hash, reason) }
        return walk.pages
    }
}

/// One match in progress.
///
/// It allocates memory for what it finds at the end of the match, not for each page: keys are built on the stack, and
/// token ids are compared where LMDB has them.
private struct MatchWalk {
    let tokens: [TokenID]
    let root: PrefixHash
    // Of the layout: a copy of all of it counts references.
    let pageSize: Int
    let isDivisible: Bool
    let now: Int64
    let tables: Tables
    let suspects: [PrefixHash: QuarantineReason]
    let seal: SpaceSeal?
    var parent: PrefixHash
    var position: Int
    var pages: [ColdPage] = []
    var damage: [PrefixHash: QuarantineReason] = [:]

    /// A child of `parent`: its node without the token ids, and how many of its token ids equal the wanted ones.
    private struct Child {
        let hash: PrefixHash
        let node: NodeRecord
        let run: Int
        var expiry: Int64 = 0
    }

    /// The token ids that are still wanted, at most one page of them.
    private var wanted: ArraySlice<TokenID> { tokens[position..<min(position + pageSize, tokens.count)] }

    /// Most walks end where they begin, because nothing is stored behind the hot tier's pages, or nothing at all. One
    /// look-up in `edges` shows this, because the children of one parent lie side by side there. A look-up in `nodes`
    /// goes to a random place in the largest table of the index, which may not be in memory.
    mutating func run(_ transaction: borrowing ReadTransaction) throws(LMDBError) {
        switch try nearest(transaction) {
        case .none: return
        case .page: try followPages(transaction)
        case .tokens: break
        }
        guard !wanted.isEmpty else { return }
        if isDivisible { try findPartial(transaction) }
        guard let last = pages.last else { return }
        if last.firstToken + last.matchedTokens < tokens.count {
            let isLeftInside = last.matchedTokens < last.tokenCount
            pages[pages.count - 1].isBranchPoint = isLeftInside ? true : try isFollowed(last.hash, transaction)
        }
    }

    /// Whether a page has children.
    private func isFollowed(
        _ hash: PrefixHash, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Bool {
        var cursor = try transaction.cursor(tables.edges)
        let prefix = hash.inlineBytes
        return try unsafe cursor.seek(prefix.span.bytes) && EdgeKey.commonRun(cursor.key, parent: hash, []) != nil
    }

    /// How much of the wanted token ids a child of `parent` may hold.
    private enum Nearest { case none, tokens, page }

    private func nearest(_ transaction: borrowing ReadTransaction) throws(LMDBError) -> Nearest {
        let wanted = wanted
        if seal != nil { return try nearestSealed(transaction) }
        let start = EdgeKey.start(parent: parent, tokens: wanted)
        var cursor = try transaction.cursor(tables.edges)
        if try unsafe cursor.seek(start.span.bytes),
            let run = EdgeKey.commonRun(cursor.key, parent: parent, wanted), run > 0
        {
            return run == min(wanted.count, EdgeKey.tokens) && wanted.count == pageSize ? .page : .tokens
        }
        guard try cursor.previous(), let run = EdgeKey.commonRun(cursor.key, parent: parent, wanted) else {
            return .none
        }
        return run > 0 ? .tokens : .none
    }

    private mutating func followPages(_ transaction: borrowing ReadTransaction) throws(LMDBError) {
        while wanted.count == pageSize {
            let hash = PrefixHash.page(after: parent, tokens: wanted, seal: seal)
            // If that page is missing or must not be used, another child may still share the first tokens.
            guard let child = try usable(hash, transaction) else { return }
            guard child.run == pageSize, Int(child.node.tokenCount) == child.run else {
                damage[hash] = .wrongTokens
                return
            }
            append(child)
            parent = hash
            position += pageSize
        }
    }

    /// A child of `parent`, if it is sound.
    private mutating func usable(
        _ hash: PrefixHash, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> Child? {
        if !suspects.isEmpty, suspects[hash] != nil { return nil }
        if !damage.isEmpty, damage[hash] != nil { return nil }
        let wanted = wanted
        var child: Child
        let stored = try transaction.read(tables.nodes, hash) { bytes -> Child? in
            if let seal { return Self.sealedChild(hash, bytes, wanted, seal) }
            guard let node = NodeRecord(fields: bytes, key: hash) else { return nil }
            return Child(hash: hash, node: node, run: NodeRecord.commonRun(bytes, wanted))
        }
        switch stored {
        case .missing: return nil
        case .damaged:
            damage[hash] = .damagedNode
            return nil
        case .sound(let found): child = found
        }
        // The page is sound but not a child of `parent` here: an edge is wrong, or the caller's position does not fit
        // its parent. The page itself is not damaged.
        let node = child.node
        guard node.parent == parent, node.root == root, Int(node.firstToken) == position,
            Int(node.tokenCount) <= pageSize, !node.flags.contains(.block),
            node.flags.contains(.sealed) == (seal != nil)
        else { return nil }
        if node.flags.contains(.expires), let recency = try transaction.recency(hash, tables).record {
            guard !recency.isExpired(at: now) else { return nil }
            child.expiry = recency.expiry
        }
        return child
    }

    /// Looks among the children of `parent` for the longest common run. Keys are sorted by token ids, so the best ones
    /// are next to the place of the wanted token ids, on either side.
    private mutating func findPartial(_ transaction: borrowing ReadTransaction) throws(LMDBError) {
        let wanted = wanted
        if let seal { return try findSealedPartial(seal, transaction) }
        let start = EdgeKey.start(parent: parent, tokens: wanted)
        var best: Child?
        var left = Limits.alternatives
        for direction in [Direction.forward, .backward] {
            var cursor = try transaction.cursor(tables.edges)
            var isThere = try unsafe cursor.seek(start.span.bytes)
            if direction == .backward { isThere = try cursor.previous() }
            while isThere, left > 0, let keyRun = EdgeKey.commonRun(cursor.key, parent: parent, wanted) {
                left -= 1
                // Common runs get shorter with the distance. Only a child whose whole key agrees can share more than
                // its key shows.
                let mayHold = keyRun == EdgeKey.tokens ? wanted.count : keyRun
                guard mayHold > best?.run ?? 0 else { break }
                let hash = EdgeKey.child(cursor.key)
                if let child = try usable(hash, transaction), child.run > best?.run ?? 0 { best = child }
                isThere = direction == .forward ? try cursor.next() : try cursor.previous()
            }
        }
        if let best { try appendPartial(best, transaction) }
    }

    /// Appends a child that begins with the wanted token ids, if its hash is that of its own.
    private mutating func appendPartial(
        _ best: Child, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) {
        guard case .sound(let whole) = try transaction.node(best.hash, tables) else { return }
        guard whole.parent == parent, whole.hasHash(best.hash, seal: seal) else {
            damage[best.hash] = .wrongTokens
            return
        }
        append(best)
    }

    private enum Direction { case forward, backward }

    private mutating func append(_ child: Child) {
        if pages.isEmpty { pages.reserveCapacity((tokens.count - position) / pageSize + 1) }
        pages.append(
            ColdPage(
                hash: child.hash, firstToken: position, tokenCount: Int(child.node.tokenCount),
                matchedTokens: child.run, expiry: child.expiry))
    }
}

// In a sealed space edges are not sorted by token ids: those of the children that begin with the same token are equal,
// and the token ids are in the nodes, encrypted.
extension MatchWalk {
    /// The start of the edges to the children of `parent` that begin with the next wanted token; nil without one.
    private var family: [UInt8]? {
        guard let seal, let first = wanted.first else { return nil }
        return EdgeKey.start(parent: parent, tokens: seal.edgeTokens(parent: parent, first: first))
    }

    private func nearestSealed(_ transaction: borrowing ReadTransaction) throws(LMDBError) -> Nearest {
        guard let family else { return .none }
        var cursor = try transaction.cursor(tables.edges)
        guard try unsafe cursor.seek(family.span.bytes), cursor.key.starts(with: family) else { return .none }
        return wanted.count == pageSize ? .page : .tokens
    }

    /// The child in `bytes`; nil when a byte of it was changed.
    private static func sealedChild(
        _ hash: PrefixHash, _ bytes: RawSpan, _ wanted: ArraySlice<TokenID>, _ seal: SpaceSeal
    ) -> Child? {
        guard let node = NodeRecord(bytes, key: hash) else { return nil }
        // One that is not sealed, or is a block, is refused by its flags.
        guard node.flags.contains(.sealed), !node.flags.contains(.block) else {
            return Child(hash: hash, node: node, run: 0)
        }
        guard let tokens = node.tokens(of: hash, by: seal) else { return nil }
        return Child(hash: hash, node: node, run: zip(tokens, wanted).prefix { $0 == $1 }.count)
    }

    /// Looks among the children of `parent` that begin with the next wanted token for the longest common run.
    private mutating func findSealedPartial(
        _ seal: SpaceSeal, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) {
        guard let family else { return }
        let keys = try transaction.keys(tables.edges, from: family, limit: Limits.alternatives) {
            $0.starts(with: family)
        }
        var best: Child?
        for key in keys {
            let hash = unsafe EdgeKey.child(key.span.bytes)
            if let child = try usable(hash, transaction), child.run > best?.run ?? 0 { best = child }
        }
        if let best { try appendPartial(best, transaction) }
    }
}
