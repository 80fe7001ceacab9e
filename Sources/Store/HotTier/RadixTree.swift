// The index of hot pages by token ids: nodes in one array, linked by indices.

internal import KVFormat

/// What the tree knows about one space.
struct SpaceRecord: Sendable {
    /// The space root: the prefix hash before the first page.
    let root: PrefixHash
    /// The shape of the space's pages.
    let layout: KVLayout
    /// The number of the space in the tree.
    let index: Int32
    /// The node that the space's first pages follow.
    let rootNode: Int32
    /// The token ids of its pages.
    let runs: TokenRuns
    /// The space's seal, for the names of its pages; nil for a space that is not sealed.
    let seal: SpaceSeal?
}

/// The radix trees of all spaces, with one step per page. The pages that follow one page form a search tree (a treap,
/// `RadixTree+Children.swift`). So the walk finds the next page among ten thousand successors with a dozen comparisons,
/// whether that page is shared whole or only in part. Not thread-safe: the tier's mutex guards it.
struct RadixTree {
    /// All nodes, including those that are not in use.
    var nodes: [RadixNode] = []
    /// The spaces, in the order of their creation. Spaces are never removed; an empty one costs one node.
    private(set) var spaces: [SpaceRecord] = []
    /// From hash to node, for pages and roots.
    private(set) var index = NodeIndex()
    /// Pages in the tree.
    private(set) var pageCount = 0
    // Nodes that are not in use, linked by `parent`.
    private var firstFree = RadixNode.none

    /// The node of the page with `hash`; `none` when there is no such page.
    func page(_ hash: PrefixHash) -> Int32 {
        let node = index.node(hash, in: nodes)
        return node != RadixNode.none && nodes[Int(node)].isPage ? node : RadixNode.none
    }

    /// The node of `hash` in `space`, page or root; `none` when there is none.
    func node(_ hash: PrefixHash, in space: SpaceRecord) -> Int32 {
        let node = index.node(hash, in: nodes)
        return node != RadixNode.none && nodes[Int(node)].space == space.index ? node : RadixNode.none
    }

    /// The space of `node`.
    func space(of node: Int32) -> SpaceRecord { spaces[Int(nodes[Int(node)].space)] }

    /// Adds an empty space.
    mutating func addSpace(root: PrefixHash, layout: KVLayout, seal: SpaceSeal?) -> SpaceRecord {
        let number = Int32(spaces.count)
        let node = allocate(
            RadixNode(
                hash: root, use: PageUse(last: 0), parent: RadixNode.none, depth: RadixNode.rootDepth,
                space: number, row: RadixNode.none, tokenCount: 0))
        let record = SpaceRecord(
            root: root, layout: layout, index: number, rootNode: node, runs: TokenRuns(pageSize: layout.pageSize),
            seal: seal)
        spaces.append(record)
        return record
    }

    /// Adds a page after `page.parent`, and returns its node. No page with the same token ids may follow that one yet.
    mutating func add(_ page: RadixNode) -> Int32 {
        let node = allocate(page)
        linkChild(node)
        nodes[Int(page.parent)].childCount += 1
        pageCount += 1
        return node
    }

    /// Removes a page that no page follows.
    mutating func remove(_ node: Int32) {
        let page = nodes[Int(node)]
        precondition(page.isPage && page.childCount == 0, "only a leaf can leave the radix tree")
        unlinkChild(node)
        nodes[Int(page.parent)].childCount -= 1
        index.remove(page.hash, node)
        spaces[Int(page.space)].runs.remove(page.row)
        nodes[Int(node)].space = RadixNode.none
        nodes[Int(node)].parent = firstFree
        firstFree = node
        pageCount -= 1
    }

    private mutating func allocate(_ node: RadixNode) -> Int32 {
        let place: Int32
        if firstFree == RadixNode.none {
            place = Int32(nodes.count)
            nodes.append(node)
        } else {
            place = firstFree
            firstFree = nodes[Int(place)].parent
            nodes[Int(place)] = node
        }
        index.insert(node.hash, place)
        return place
    }

    /// `node` and all pages behind it, each before those that follow it.
    func subtree(of node: Int32) -> [Int32] {
        var found = [node]
        var stack = [nodes[Int(node)].children]
        while let next = stack.popLast() {
            guard next != RadixNode.none else { continue }
            found.append(next)
            stack += [nodes[Int(next)].left, nodes[Int(next)].right, nodes[Int(next)].children]
        }
        return found
    }

    /// Bytes of the nodes, the token ids and the index.
    var byteCount: Int {
        nodes.count * MemoryLayout<RadixNode>.stride + index.byteCount + spaces.reduce(0) { $0 + $1.runs.byteCount }
    }
}
