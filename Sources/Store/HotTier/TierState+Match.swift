// Finding the longest prefix in RAM.

internal import KVFormat

/// One page of a match.
struct MatchedPage {
    /// Its prefix hash.
    var hash: PrefixHash
    /// Its bytes.
    var content: HotContent
    /// Number of token ids in the page; for the last page of a match this may be more than were matched.
    var tokenCount: Int32
    /// Whether the cold tier has it.
    var isStored: Bool
}

/// What a match found. If it found a page, the deepest one is pinned.
struct MatchedPath {
    /// The pages, the last first.
    var pages: [MatchedPage] = []
    /// Tokens of the prefix.
    var tokenCount = 0
    /// The node of the last page, or `none`.
    var deepest = RadixNode.none
    /// The kind of use that the request makes of the pages.
    var use = PathUse.match
}

extension TierState {
    /// Finds, marks as used and pins the longest prefix of `tokens`. It walks down by token ids and up by links. It
    /// allocates once, for the result, and not at all when nothing is found.
    mutating func match(_ tokens: ArraySlice<TokenID>, in space: SpaceRecord, now: Int64) -> MatchedPath {
        counters.matches += 1
        var path = MatchedPath()
        var node = space.rootNode
        let pageSize = space.layout.pageSize
        while path.tokenCount < tokens.count {
            let start = tokens.startIndex + path.tokenCount
            let query = tokens[start..<min(start + pageSize, tokens.endIndex)]
            let found = tree.search(after: node, query.span, space.runs)
            guard found.common == pageSize || (found.common > 0 && space.layout.isDivisible) else { break }
            if tree.nodes[Int(found.best)].isMiss(at: now) {
                // Once that page is removed, one of its siblings may share the longest run.
                if removeExpired(found.best) { continue } else { break }
            }
            node = found.best
            path.tokenCount += found.common
            // A page shared only in part ends the walk, because the pages behind it follow other token ids.
            if found.common < pageSize { break }
        }
        guard node != space.rootNode else { return path }
        path.deepest = node
        path.use = branches(at: node, path.tokenCount, of: tokens, pageSize) ? .branch : .match
        path.pages = use(upwardsFrom: node, path.use, now: now)
        pin(node)
        counters.matchedPages += path.pages.count
        counters.matchedTokens += path.tokenCount
        return path
    }

    /// Whether a request that shares `matched` tokens, with `node` as the last page, continues in another way than
    /// earlier ones.
    private func branches(at node: Int32, _ matched: Int, of tokens: ArraySlice<TokenID>, _ pageSize: Int) -> Bool {
        let page = tree.nodes[Int(node)]
        let isLeftInside = matched < Int(page.depth) * pageSize + Int(page.tokenCount)
        return matched < tokens.count && (isLeftInside || page.childCount > 0)
    }

    /// Notes a use of `node` and all pages before it, and lists them, the last first.
    private mutating func use(upwardsFrom node: Int32, _ use: PathUse, now: Int64) -> [MatchedPage] {
        var pages: [MatchedPage] = []
        pages.reserveCapacity(Int(tree.nodes[Int(node)].depth) + 1)
        var next = node
        while tree.nodes[Int(next)].isPage {
            let before = tree.nodes[Int(next)]
            history.countReturn(of: before.use, bytes: bytes(of: before), at: now)
            tree.nodes[Int(next)].match(use, at: now)
            let page = tree.nodes[Int(next)]
            pages.append(
                MatchedPage(
                    hash: page.hash, content: content(of: next), tokenCount: page.tokenCount, isStored: page.isStored))
            next = page.parent
        }
        return pages
    }
}

extension RadixNode {
    /// Notes a use by a match.
    fileprivate mutating func match(_ pathUse: PathUse, at now: Int64) {
        use.keep(at: now)
        if pathUse == .branch { use.branch(1) }
        isDroppable = false
    }
}
