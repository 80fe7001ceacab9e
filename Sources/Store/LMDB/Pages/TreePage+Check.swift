// The full check of one page: everything that LMDB relies on when it changes the page.

/// Which tree a page belongs to, as far as its check depends on that.
enum TreeKind {
    case table, tables, freeList

    /// The flags that a leaf's node can have.
    fileprivate func allows(_ flags: UInt16) -> Bool {
        self == .tables ? flags == TreeNode.tree : flags == 0 || flags == TreeNode.large
    }
}

extension TreePage {
    /// Checks the whole page: each node lies inside it, no two overlap and nothing is between them, keys and flags can
    /// be, and a branch leads to pages of the file. Does not look at other pages.
    ///
    /// - Complexity: one pass over the nodes.
    func check(in pages: PageMap, _ kind: TreeKind) throws(LMDBError) {
        // LMDB ends the process when a branch of a table has only one child.
        guard isLeaf || count > 1 || kind == .freeList else { throw .damaged("a branch has only one child") }
        var starts = NodeStarts()
        var bytes = 0
        for index in 0..<count {
            let node = try node(index)
            let size = try checkedSize(node, index, in: pages, kind)
            guard node.offset % 2 == 0, starts.insert(node.offset) else { throw .damaged("two nodes overlap") }
            bytes += size
        }
        // Every node ends where another begins, or with the page, and together they fill what the header says: so they
        // lie side by side.
        guard bytes == pageSize - upper else { throw .damaged("the nodes of a page do not fill it") }
        for index in 0..<count {
            let node = try node(index)
            let end = node.offset + (try checkedSize(node, index, in: pages, kind))
            guard end == pageSize || starts.contains(end) else { throw .damaged("two nodes overlap") }
        }
    }

    /// Bytes that a node takes of the page.
    func checkedSize(_ node: TreeNode, _ index: Int, in pages: PageMap, _ kind: TreeKind) throws(LMDBError) -> Int {
        var size = TreeNode.header + node.keyBytes
        if isLeaf {
            guard kind.allows(node.flags) else { throw .damaged("a node has impossible flags") }
            guard LMDBLimits.keyBytes.contains(node.keyBytes), kind != .freeList || node.keyBytes == 8 else {
                throw .damaged("a key has an impossible size")
            }
            size += unsafe try inlineBytes(node).count
        } else {
            guard node.keyBytes <= LMDBLimits.keyBytes.upperBound, index == 0 || node.keyBytes > 0 else {
                throw .damaged("a key has an impossible size")
            }
            guard node.child >= PageMap.first, node.child < pages.count else {
                throw .damaged("a page number leads outside the file")
            }
        }
        return size + size % 2
    }
}

/// Where the nodes of a page begin: one bit per two bytes of the largest page.
private struct NodeStarts {
    private var words = InlineArray<256, UInt64>(repeating: 0)

    /// Adds a place; false when it is there already.
    mutating func insert(_ offset: Int) -> Bool {
        let (word, bit) = (offset / 128, UInt64(1) << UInt64(offset / 2 % 64))
        defer { words[word] |= bit }
        return words[word] & bit == 0
    }

    func contains(_ offset: Int) -> Bool { words[offset / 128] & 1 << UInt64(offset / 2 % 64) != 0 }
}
