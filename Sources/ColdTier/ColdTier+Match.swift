// Matching from disk: token-exact, page by page, and inside the page where the request leaves the stored prefix.

package import KVFormat
internal import LMDB

extension ColdTier {
    /// Finds the longest stored prefix of `tokens` from `firstToken` on.
    ///
    /// Whole pages are found by prefix hash and compared by token ids. Where the next page is not there, the child with the
    /// longest common run of token ids gives its first tokens (opaque layouts excepted). A page that is expired,
    /// quarantined or cannot be trusted ends the match.
    ///
    /// - Parameters:
    ///   - tokens: the whole sequence.
    ///   - firstToken: where to begin; `parent` stands for all before.
    ///   - parent: the prefix hash of `tokens[..<firstToken]`, or `root` at 0.
    ///   - root: the space root.
    ///   - layout: the space's layout.
    ///   - now: milliseconds since the Unix epoch, for expiry.
    /// - Returns: pages in order; the last may be matched in part.
    /// - Throws: `.closed`, `.forked`, `.readersFull`, `.system`. Damage of any kind is a shorter match.
    /// - Complexity: two look-ups and one SHA-256 a page, in one read transaction.
    package func match(
        _ tokens: [TokenID], from firstToken: Int, parent: PrefixHash, root: PrefixHash, layout: KVLayout, now: Int64
    ) throws(StoreError) -> [ColdPage] {
        precondition(firstToken >= 0 && firstToken <= tokens.count, "a match begins inside its tokens")
        var walk = MatchWalk(
            tokens: tokens, root: root, layout: layout, now: now, tables: tables, suspects: pending.suspects,
            parent: parent, position: firstToken)
        do throws(LMDBError) {
            try environment.read { (transaction) throws(LMDBError) in try walk.run(transaction) }
        } catch {
            // The tree itself is damaged here. Nothing is written into such a tree: what was found until then is the match.
            guard error.isDamage else { throw StoreError(error, path: path, options: options) }
            pending.countDamage()
        }
        for (hash, reason) in walk.damage { pending.quarantine(hash, reason) }
        return walk.pages
    }
}

/// One match under way.
private struct MatchWalk {
    let tokens: [TokenID]
    let root: PrefixHash
    let layout: KVLayout
    let now: Int64
    let tables: Tables
    let suspects: [PrefixHash: QuarantineReason]
    var parent: PrefixHash
    var position: Int
    var pages: [ColdPage] = []
    var damage: [PrefixHash: QuarantineReason] = [:]

    /// What is still wanted, at most one page of it.
    private var wanted: ArraySlice<TokenID> { tokens[position..<min(position + layout.pageSize, tokens.count)] }

    mutating func run(_ transaction: borrowing ReadTransaction) throws(LMDBError) {
        while wanted.count == layout.pageSize {
            let hash = PrefixHash.page(after: parent, tokens: wanted)
            // Where it is not there, or may not be used, another child may still share its first tokens.
            guard let node = try usable(hash, transaction) else { break }
            guard node.tokens.elementsEqual(wanted) else {
                damage[hash] = .wrongTokens
                return
            }
            append(hash, node, matched: node.tokens.count)
            parent = hash
            position += layout.pageSize
        }
        guard layout.isDivisible, !wanted.isEmpty else { return }
        try findPartial(transaction)
    }

    /// The node of a child of `parent`, if all is right with it.
    private mutating func usable(
        _ hash: PrefixHash, _ transaction: borrowing ReadTransaction
    ) throws(LMDBError) -> NodeRecord? {
        guard suspects[hash] == nil, damage[hash] == nil else { return nil }
        let node: NodeRecord
        switch try transaction.node(hash, tables) {
        case .missing: return nil
        case .damaged:
            damage[hash] = .damagedNode
            return nil
        case .sound(let record): node = record
        }
        // Sound, and yet no child of `parent` here: an edge that leads astray, or a caller whose position does not fit its
        // parent. Nothing is wrong with the page itself.
        guard node.parent == parent, node.root == root, Int(node.firstToken) == position,
            node.tokens.count <= layout.pageSize, !node.flags.contains(.foreign)
        else { return nil }
        if let recency = try transaction.recency(hash, tables).record, recency.isExpired(at: now) { return nil }
        return node
    }

    /// Looks among the children of `parent` for the longest common run: keys are sorted by token ids, so the best stand next to
    /// the place of the wanted ones, on either side.
    private mutating func findPartial(_ transaction: borrowing ReadTransaction) throws(LMDBError) {
        let start = EdgeKey.start(parent: parent, tokens: wanted)
        var best: (hash: PrefixHash, node: NodeRecord, run: Int)?
        var left = EdgeKey.candidates
        for direction in [Direction.forward, .backward] {
            var cursor = try transaction.cursor(tables.edges)
            var isThere = try unsafe cursor.seek(start.span.bytes)
            if direction == .backward { isThere = try cursor.previous() }
            while isThere, left > 0, let edge = EdgeKey(cursor.key), edge.parent == parent {
                left -= 1
                let keyRun = Self.commonRun(edge.first[...], wanted)
                // Runs shrink with the distance; only children that agree in all of the key can hold more than it shows.
                let mayHold = keyRun == EdgeKey.tokens ? wanted.count : keyRun
                guard mayHold > best?.run ?? 0 else { break }
                if let node = try usable(edge.child, transaction) {
                    let run = Self.commonRun(node.tokens[...], wanted)
                    if run > best?.run ?? 0 { best = (edge.child, node, run) }
                }
                isThere = direction == .forward ? try cursor.next() : try cursor.previous()
            }
        }
        guard let best else { return }
        guard PrefixHash.page(after: parent, tokens: best.node.tokens[...]) == best.hash else {
            damage[best.hash] = .wrongTokens
            return
        }
        append(best.hash, best.node, matched: best.run)
    }

    private enum Direction { case forward, backward }

    private mutating func append(_ hash: PrefixHash, _ node: NodeRecord, matched: Int) {
        pages.append(
            ColdPage(
                hash: hash, firstToken: position, tokenCount: node.tokens.count, matchedTokens: matched,
                rawBytes: Int(node.rawBytes), storedBytes: node.physicalBytes))
    }

    private static func commonRun(_ left: ArraySlice<TokenID>, _ right: ArraySlice<TokenID>) -> Int {
        zip(left, right).prefix { $0 == $1 }.count
    }
}
