// The pages that follow one page, as a search tree ordered by their token ids.
//
// A treap: ordered by token ids from left to right, and by prefix hash (which is as good as random) from top to
// bottom, so that its depth is logarithmic whatever the order of insertion. Link and unlink are loops over links;
// nothing is balanced, nothing recurses.

internal import KVFormat

/// The result of a search among the pages after one page.
struct ChildSearch {
    /// The page that shares the longest run with the query, and among several the longest; `none` when not even the
    /// first id is shared.
    var best = RadixNode.none
    /// How many token ids it shares with the query.
    var common = 0
    /// A tail all of whose token ids the query begins with, and which is shorter than the query; `none` when there is
    /// none.
    var covered = RadixNode.none
}

extension RadixTree {
    /// A place where a link to a child stands.
    private enum Link {
        case top(of: Int32)
        case left(of: Int32)
        case right(of: Int32)
    }

    private subscript(_ link: Link) -> Int32 {
        get {
            switch link {
            case .top(let node): nodes[Int(node)].children
            case .left(let node): nodes[Int(node)].left
            case .right(let node): nodes[Int(node)].right
            }
        }
        set {
            switch link {
            case .top(let node): nodes[Int(node)].children = newValue
            case .left(let node): nodes[Int(node)].left = newValue
            case .right(let node): nodes[Int(node)].right = newValue
            }
        }
    }

    /// Finds the page after `parent` that shares the longest run with `query`.
    ///
    /// The neighbours of a run in lexicographic order share the most with it, and a search passes both of them.
    ///
    /// - Complexity: the number of comparisons is logarithmic in the number of pages after `parent`. Allocates nothing.
    func search(after parent: Int32, _ query: Span<TokenID>, _ runs: TokenRuns) -> ChildSearch {
        var found = ChildSearch()
        var foundCount = 0
        var node = nodes[Int(parent)].children
        while node != RadixNode.none {
            let count = Int(nodes[Int(node)].tokenCount)
            let comparison = runs.compare(query, with: nodes[Int(node)].row, count: count)
            let common = comparison.common
            if common > found.common || (common == found.common && common > 0 && count > foundCount) {
                found.best = node
                found.common = common
                foundCount = count
            }
            if common == count && common == query.count { break }
            if common == count { found.covered = node }
            node = comparison.isBefore ? nodes[Int(node)].left : nodes[Int(node)].right
        }
        return found
    }

    /// Whether the token ids of `left` come before those of `right`, both of one space.
    func isBefore(_ left: Int32, _ right: Int32) -> Bool {
        let (left, right) = (nodes[Int(left)], nodes[Int(right)])
        let runs = spaces[Int(left.space)].runs
        return runs.compare(left.row, count: Int(left.tokenCount), with: right.row, count: Int(right.tokenCount))
            .isBefore
    }

    /// Whether `left` stands above `right` when both are in one subtree.
    func isAbove(_ left: Int32, _ right: Int32) -> Bool {
        nodes[Int(left)].hash > nodes[Int(right)].hash
    }

    /// Links `node` below its parent.
    mutating func linkChild(_ node: Int32) {
        var link = Link.top(of: nodes[Int(node)].parent)
        while self[link] != RadixNode.none && isAbove(self[link], node) {
            link = isBefore(node, self[link]) ? .left(of: self[link]) : .right(of: self[link])
        }
        // The subtree at the link is split into the parts on both sides of the new node.
        var rest = self[link]
        self[link] = node
        var (low, high) = (Link.left(of: node), Link.right(of: node))
        while rest != RadixNode.none {
            if isBefore(node, rest) {
                self[high] = rest
                high = .left(of: rest)
                rest = self[high]
            } else {
                self[low] = rest
                low = .right(of: rest)
                rest = self[low]
            }
        }
        self[low] = RadixNode.none
        self[high] = RadixNode.none
    }

    /// Removes `node` from below its parent and merges its two subtrees.
    mutating func unlinkChild(_ node: Int32) {
        var link = Link.top(of: nodes[Int(node)].parent)
        while self[link] != node {
            precondition(self[link] != RadixNode.none, "a page is missing among those after its parent")
            link = isBefore(node, self[link]) ? .left(of: self[link]) : .right(of: self[link])
        }
        var (low, high) = (nodes[Int(node)].left, nodes[Int(node)].right)
        while low != RadixNode.none && high != RadixNode.none {
            if isAbove(low, high) {
                self[link] = low
                link = .right(of: low)
                low = self[link]
            } else {
                self[link] = high
                link = .left(of: high)
                high = self[link]
            }
        }
        self[link] = low == RadixNode.none ? high : low
    }
}
